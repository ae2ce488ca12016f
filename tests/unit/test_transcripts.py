"""A recorded conversation of any supported shape becomes turns; anything else says in one line what is wrong."""

import json
from pathlib import Path

import pytest

from ops.transcripts import TranscriptError, Turn, Word, language_of, language_of_all, read_transcript

pytestmark = pytest.mark.unit


@pytest.fixture
def written(tmp_path):
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_our_own_lines_are_turns_and_a_missing_language_is_judged(written):
    path = written(
        "a.jsonl", '{"speaker": "A", "text": "Is it  on?", "lang": "en"}\n\n{"speaker": 2, "text": "能听见吗？"}\n'
    )
    assert read_transcript(path) == [Turn("A", "Is it on?", "en"), Turn("2", "能听见吗？", "zh")]


def test_a_vcsum_segment_is_one_turn_per_entry_with_its_sentences_joined(written):
    path = written(
        "v.jsonl", json.dumps({"id": "0_1", "speaker": [1, 2], "context": [["好。", "为什么呢？"], ["因为。"]]})
    )
    assert read_transcript(path) == [Turn("1", "好。为什么呢？", "zh"), Turn("2", "因为。", "zh")]


def test_a_qmsum_meeting_loses_its_noise_tags_and_turns_of_nothing_else(written):
    meeting = [{"speaker": "PM", "content": "Okay {vocalsound} . Right ?"}, {"speaker": "ID", "content": "{gap}"}]
    path = written("q.json", json.dumps({"meeting_transcripts": meeting}))
    assert read_transcript(path) == [Turn("PM", "Okay . Right ?", "en")]


def test_plain_text_names_speakers_before_a_colon_and_keeps_the_last_one(written):
    path = written("t.txt", "Ann: Where is it?\nIt was here.\n\n张三：在哪里？\n")
    assert read_transcript(path) == [
        Turn("Ann", "Where is it?", "en"),
        Turn("Ann", "It was here.", "en"),
        Turn("张三", "在哪里？", "zh"),
    ]


def test_a_rev_table_gives_words_with_their_times_and_leaves_out_untimed_ones(written):
    path = written(
        "r.nlp",
        "token|speaker|ts|endTs|punctuation|prepunctuation\n"
        'Good|0|4.21|4.35||\nday|0|4.35|4.58|,|\num|0||||\n"Hi|1|5.0|5.5|?|\n',
    )
    assert read_transcript(path) == [
        Turn("0", "Good day,", "en", (Word("Good", 4.21, 4.35), Word("day,", 4.35, 4.58))),
        Turn("1", '"Hi?', "en", (Word('"Hi?', 5.0, 5.5),)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.docx", "x", "unknown kind of transcript; give one of .json, .jsonl, .nlp, .txt"),
        ("a.jsonl", '{"speaker": "A", "text": "Hi."}\n{oops', "line 2: "),
        ("a.jsonl", '{"speaker": "A"}', "line 1: no 'text'"),
        ("a.jsonl", "[1]", "line 1: "),
        ("a.json", "{}", "no 'meeting_transcripts'"),
        ("a.json", "[]", "not a .json transcript"),
        ("a.nlp", "token|ts\nGood|1", "no "),
        ("a.txt", " \n", "holds no speech"),
    ],
)
def test_what_is_no_conversation_is_named_with_its_reason(written, name, content, says):
    path = written(name, content)
    with pytest.raises(TranscriptError) as refused:
        read_transcript(path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_file_of_other_bytes_are_unreadable(tmp_path):
    with pytest.raises(TranscriptError, match="No such file"):
        read_transcript(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TranscriptError, match="not UTF-8"):
        read_transcript(tmp_path / "b.txt")


def test_language_follows_the_share_of_chinese_letters():
    assert (language_of("用 QQ 群"), language_of("ok"), language_of("")) == ("zh", "en", "en")
    assert language_of_all([Turn("A", "a", "en")]) == "en"
    assert language_of_all([Turn("A", "a", "en"), Turn("B", "好", "zh")]) == "auto"


@pytest.mark.parametrize(("name", "lang"), [("committee.en.jsonl", "en"), ("schools.zh.jsonl", "zh")])
def test_the_sample_conversations_are_readable(name, lang):
    examples = Path(__file__).parents[2] / "examples" / "conversations"
    turns = read_transcript(examples / name)
    assert {turn.lang for turn in turns} == {lang}
    assert 20 <= len(turns) <= 40
