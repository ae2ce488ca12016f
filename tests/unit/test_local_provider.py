"""The local provider: spoken questions in, cited quotes of a small bilingual knowledge folder out."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tantivy

from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, Delta, End, KnowledgeIndex, Turn, build_index
from pipeline.providers.index_folder import VERSION
from pipeline.providers.local import LocalProvider

pytestmark = pytest.mark.unit

KNOWLEDGE = Path(__file__).parent.parent / "data" / "knowledge"

SPOKEN = [
    ("um so how many requests can we send on the team plan", "en/plans.md", "Rate limits", "1,000"),
    ("okay and can I pay by bank transfer or what", "en/plans.md", "Billing", "yearly contracts only"),
    ("do we get our money back if we cancel a yearly contract", "en/plans.md", "Billing > Refunds", "within 30 days"),
    ("and who changes the address that invoices go to", "en/plans.md", "Billing", "an owner changes"),
    ("how much memory does the machine need at least", "en/install.md", "Requirements", "4 GB"),
    ("could you quickly tell me the steps to install the server", "en/install.md", "Steps", "3. Run harbour init"),
    ("so for how many days do you keep the backups", "en/install.md", "Backup", "14 days"),
    ("well who do I call when the server is down", "en/install.md", "Who do I call", "the duty engineer"),
    ("when's the new crane going to arrive", "en/meeting.txt", "", "fourteenth of March"),
    ("what did the repair of the fence cost us", "en/meeting.txt", "", "3,200 euros"),
    ("请问团队版每分钟最多能发多少个请求啊", "zh/plans.md", "请求频率", "1,000"),
    ("那个我想问一下能不能用银行转账付款", "zh/plans.md", "付款", "仅限年付合同"),
    ("年付的合同取消了能退钱吗", "zh/plans.md", "付款 > 退款", "全额退还"),
    ("账单的地址是在哪里改的", "zh/plans.md", "付款", "设置"),
    ("嗯机器最少要多大的内存", "zh/install.md", "硬件要求", "4 GB"),
    ("备份会保留多少天呢", "zh/install.md", "备份", "十四天"),
    ("要是我忘记密码了怎么办", "zh/install.md", "忘记密码", "重置"),
    ("新的起重机什么时候能到啊", "zh/meeting.txt", "", "三月十四号"),
    ("修围栏一共花了多少钱", "zh/meeting.txt", "", "三千二百"),
]

FOREIGN = [
    "what's the capital of Mongolia",
    "could you recommend a recipe for tomato soup",
    "who won the football championship last summer",
    "请问明天北京天气怎么样",
    "番茄炒蛋怎么做",
    "珠穆朗玛峰有多高",
    "um okay so what about it",
    "？？",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build_index(KNOWLEDGE, folder)
    return folder


async def answer(index: Path, question: str, lang: str | None = None) -> tuple[list[str], End]:
    *pieces, end = [piece async for piece in LocalProvider(KnowledgeIndex(index)).stream(Asked(question, lang))]
    assert isinstance(end, End)
    return [piece.text for piece in pieces if isinstance(piece, Delta)], end


@pytest.mark.parametrize(("question", "file", "heading", "fact"), SPOKEN)
async def test_a_spoken_question_finds_its_section_first_and_quotes_the_fact(
    index: Path, question: str, file: str, heading: str, fact: str
) -> None:
    pieces, end = await answer(index, question)
    best = end.sources[0]
    assert (best["file"], best["heading"][: len(heading)]) == (file, heading)
    assert fact in best["text"]
    assert best["text"] in "".join(pieces)


@pytest.mark.parametrize("question", FOREIGN)
async def test_a_question_about_something_else_is_told_plainly_that_there_is_no_answer(
    index: Path, question: str
) -> None:
    pieces, end = await answer(index, question)
    assert pieces[0].startswith(("No answer found", "没有找到答案"))
    assert (end.found, end.sources) == (False, [])


@pytest.mark.parametrize(
    ("question", "file", "fact"),
    [
        ("請問企業版每分鐘最多能發多少個請求", "zh/plans.md", "10,000"),
        ("那個我想問一下能不能用銀行轉帳付款", "zh/plans.md", "仅限年付合同"),
        ("帳單的地址要去哪裡改", "zh/plans.md", "设置"),
        ("嗯機器最少要多大的內存", "zh/install.md", "4 GB"),
        ("備份會保留多少天呢", "zh/install.md", "十四天"),
    ],
)
async def test_a_question_in_traditional_characters_finds_simplified_documents(
    index: Path, question: str, file: str, fact: str
) -> None:
    _, end = await answer(index, question)
    assert end.sources[0]["file"] == file
    assert fact in end.sources[0]["text"]


async def test_a_document_in_traditional_characters_is_found_and_quoted_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "printer.md").write_text("# 印表機\n\n請先打開印表機的電源，再按設定鍵。", encoding="utf-8")
    build_index(tmp_path / "docs", tmp_path / "index")
    _, end = await answer(tmp_path / "index", "打印机的电源怎么打开")
    assert end.sources[0]["text"] == "請先打開印表機的電源，再按設定鍵。"


async def test_a_follow_up_is_looked_up_with_the_question_before_it(index: Path) -> None:
    before = Turn("um so how many requests can we send on the team plan", "1,000 a minute.")
    asked = Asked("and on the other ones?", lang="en", context=[before])
    local = LocalProvider(KnowledgeIndex(index))
    *_, end = [piece async for piece in local.stream(asked)]
    assert isinstance(end, End) and end.sources[0]["heading"] == "Rate limits"
    *_, alone = [piece async for piece in local.stream(Asked("and on the other ones?", lang="en"))]
    assert isinstance(alone, End) and not alone.found


async def test_no_answer_is_said_in_the_language_of_the_question(index: Path) -> None:
    assert (await answer(index, "今天吃什么"))[0][0].startswith("没有找到答案")
    assert (await answer(index, "what is for lunch"))[0][0].startswith("No answer found")
    assert (await answer(index, "ok", lang="zh"))[0][0].startswith("没有找到答案")


async def test_a_citation_names_title_heading_file_and_the_lines_that_are_quoted(index: Path) -> None:
    pieces, end = await answer(index, "do we get our money back if we cancel a yearly contract")
    assert pieces[-1].splitlines()[0] == "[1] Plans and limits > Billing > Refunds (en/plans.md#L32-L32)"
    lines = (KNOWLEDGE / "en/plans.md").read_text(encoding="utf-8").splitlines()
    assert lines[32 - 1] == end.sources[0]["text"]
    assert end.sources[0].keys() == {"n", "title", "heading", "file", "lines", "score", "text"}


async def test_an_answer_comes_sentence_by_sentence(index: Path) -> None:
    pieces, _ = await answer(index, "so for how many days do you keep the backups")
    assert pieces[0] == "A backup is written every night at 02:30 and kept for 14 days. "


async def test_a_list_item_comes_with_the_sentence_that_introduces_the_list(index: Path) -> None:
    _, end = await answer(index, "okay and can I pay by bank transfer or what")
    assert end.sources[0]["text"].startswith("You can pay by:\n- credit card")


async def test_a_table_row_comes_with_its_header(index: Path) -> None:
    _, end = await answer(index, "请问企业版有多少个席位")
    assert "套餐：企业版；每分钟请求数：10,000；席位：不限" in end.sources[0]["text"]


async def test_html_of_a_document_does_not_reach_an_answer(index: Path) -> None:
    pieces, _ = await answer(index, "does harbour run on linux or windows")
    assert "Windows is not supported." in "".join(pieces)
    assert "<" not in "".join(pieces)
    assert "never part" not in "".join(pieces)


async def test_the_question_itself_is_not_quoted_back(index: Path) -> None:
    _, end = await answer(index, "when does the new crane arrive at the northern pier")
    assert "?" not in end.sources[0]["text"]


def test_indexing_again_reads_only_what_changed(tmp_path: Path) -> None:
    knowledge, index = tmp_path / "docs", tmp_path / "index"
    knowledge.mkdir()
    (knowledge / "a.md").write_text("# A\n\nApples are red.", encoding="utf-8")
    (knowledge / "b.md").write_text("# B\n\nBananas are yellow.", encoding="utf-8")
    first = build_index(knowledge, index)
    assert (first.added, first.passages) == (2, 2)
    reader = KnowledgeIndex(index)
    (knowledge / "a.md").write_text("# A\n\nApricots are orange.", encoding="utf-8")
    (knowledge / "b.md").unlink()
    (knowledge / "c.txt").write_text("Cherries are dark.", encoding="utf-8")
    again = build_index(knowledge, index)
    assert (again.added, again.updated, again.removed, again.unchanged, again.passages) == (1, 1, 1, 0, 2)
    assert [hit.passage.file for hit in reader.search("apricots cherries apples bananas")] == ["a.md", "c.txt"]
    last = build_index(knowledge, index)
    assert (last.unchanged, last.added, last.updated, last.removed) == (2, 0, 0, 0)


def test_an_index_may_be_deleted_and_built_anew_under_a_running_reader(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Apples are red.", encoding="utf-8")
    index = tmp_path / "index"
    build_index(tmp_path / "docs", index)
    reader = KnowledgeIndex(index)
    shutil.rmtree(index)
    assert [hit.passage.text for hit in reader.search("apples")] == ["Apples are red."]
    (tmp_path / "docs" / "a.md").write_text("Apples are green.", encoding="utf-8")
    build_index(tmp_path / "docs", index)
    assert [hit.passage.text for hit in reader.search("apples")] == ["Apples are green."]


def test_a_small_folder_is_indexed_within_two_seconds(tmp_path: Path) -> None:
    assert build_index(KNOWLEDGE, tmp_path).seconds < 2


def test_one_file_is_a_knowledge_too(tmp_path: Path) -> None:
    build_index(KNOWLEDGE / "en" / "install.md", tmp_path)
    assert KnowledgeIndex(tmp_path).search("backup")[0].passage.file == "install.md"


def test_a_file_that_is_no_text_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "good.md").write_text("Fine words.", encoding="utf-8")
    (tmp_path / "docs" / "bad.md").write_bytes(b"\x00\x01\x02")
    (tmp_path / "docs" / "old.txt").write_bytes("港口在北面。".encode("gb18030"))
    report = build_index(tmp_path / "docs", tmp_path / "index")
    assert [(skipped.name, skipped.reason) for skipped in report.skipped] == [("bad.md", "binary, not text")]
    assert KnowledgeIndex(tmp_path / "index").search("港口")[0].passage.file == "old.txt"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_knowledge_folder_that_is_missing_or_empty_is_named_with_its_setting(tmp_path: Path, make: object) -> None:
    folder = tmp_path / "docs"
    make(folder)  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match="KNOWLEDGE_PATH=.*docs"):
        build_index(folder, tmp_path / "index")


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root may read everything; as root, be nobody for the length of the test."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("ordinary_user")
def test_a_knowledge_folder_that_may_not_be_read_is_named_with_its_setting() -> None:
    with tempfile.TemporaryDirectory() as folder:
        docs = Path(folder) / "docs"
        docs.mkdir(mode=0)
        with pytest.raises(ConfigurationError, match="KNOWLEDGE_PATH"):
            build_index(docs, Path(folder) / "index")


def test_an_index_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="realtime-rag index"):
        KnowledgeIndex(tmp_path)


def test_an_index_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="DATA_PATH"):
        build_index(KNOWLEDGE, tmp_path / "file" / "index")


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """An index that another writer holds."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("pears", encoding="utf-8")
    build_index(tmp_path / "docs", tmp_path / "index")
    writer = tantivy.Index.open(str(tmp_path / "index" / f"v{VERSION}")).writer(15_000_000, 1)
    yield tmp_path
    writer.rollback()


def test_a_second_writer_gives_up_with_a_clear_error_and_changes_nothing(busy: Path) -> None:
    (busy / "docs" / "a.md").write_text("plums", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="Another process is writing the index"):
        build_index(busy / "docs", busy / "index", wait=0.1)
    assert len(KnowledgeIndex(busy / "index").search("pears")) == 1


def test_an_unchanged_folder_needs_no_lock(busy: Path) -> None:
    assert build_index(busy / "docs", busy / "index", wait=0.0).unchanged == 1


def test_processes_that_index_at_the_same_time_leave_one_whole_index(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        reports = pool.starmap(build_index, [(KNOWLEDGE, tmp_path)] * 4)
    assert sorted(report.added for report in reports) == [0, 0, 0, 6]
    assert len(KnowledgeIndex(tmp_path)) == reports[0].passages
