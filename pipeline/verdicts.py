"""What the questions stage writes of a sentence: the verdict, who decided, and what it means for an early one."""

from __future__ import annotations

from msgspec import structs

from pipeline.features import plain
from pipeline.joined import asked_with
from pipeline.profiles import BALANCED, Profile, read_profile, woken
from pipeline.questions import Verdict, detect
from topics.messages import Ask, NotAQuestion, Question, Record, Sentence


def judge(
    record: Record,
    said: str = "",
    default: Profile = BALANCED,
    model: str = "linear",
    verdict: Verdict | None = None,
) -> Record:
    """The output for one input: sentences get a verdict, asks are questions without one, the rest stays as it is.

    Args:
        record: what came.
        said: the sentence before it that a question can lean on.
        default: the profile of sentences that name none, or only a part of one.
        model: which one judges.
        verdict: of a sentence, where it is known already.

    Raises:
        ValueError: the sentence names a profile that there is not.
    """
    match record:
        case Sentence():
            profile, verdict = read_profile(record.profile, default), verdict or hear(record, said, default, model)
            if not verdict.is_question:
                return NotAQuestion(text=record.text, score=verdict.score, reason=verdict.reason)
            return Question(
                text=asked_with(_behind_phrase(record.text, profile), _behind_phrase(said, profile)),
                original=record.text,
                score=verdict.score,
                reason=verdict.reason,
                lang=record.lang,
                asked_at=record.spoken_until,
            )
        case Ask():
            return Question(
                text=record.text,
                original=record.text,
                score=1.0,
                reason="asked as it is",
                lang=record.lang,
                options=record.options,
                asked_at=record.asked_at,
            )
        case _:
            return record


def hear(sentence: Sentence, said: str, default: Profile, model: str) -> Verdict:
    """The model's verdict; arguments as of `judge`."""
    profile = read_profile(sentence.profile, default)
    return detect(sentence.text, said, lang=sentence.lang, profile=profile, speaker=sentence.speaker, model=model)


def second(verdict: Verdict, provider: str, asks: bool | None) -> Verdict:
    """An unsure verdict after a provider was asked: it decides, unless nothing came of it (None).

    >>> second(Verdict(False, 0.4, "nothing points to a question", "linear-2"), "openai", True).reason
    'openai says that it asks; the model: nothing points to a question'
    """
    if asks is None:
        return verdict
    reason = f"{provider} says that it asks{'' if asks else ' nothing'}; the model: {verdict.reason}"
    return verdict._replace(is_question=asks, reason=reason)


def settled(
    output: Record, record: Record, early: tuple[str, str] | None = None, model: str = "linear"
) -> Record | None:
    """What becomes of a verdict where sentences are early.

    Args:
        output: the verdict.
        record: what it is about.
        early: source and text of the early question that is not settled.
        model: which one judges.

    Returns:
        None for an early sentence that is no question beyond doubt: the final one will be judged; else the output,
        which says where it confirms or replaces the early question.
    """
    if not isinstance(record, Sentence):
        return output
    if record.ended_by == "early":
        sure = detect(record.text, lang=record.lang, profile="strict", model=model).is_question
        return structs.replace(output, early=True) if isinstance(output, Question) and sure else None
    if early is None or record.settles != early[0]:
        return output
    same = isinstance(output, Question) and plain(output.text) == plain(early[1])
    return structs.replace(output, **{"confirms" if same else "replaces": early[0]})


def _behind_phrase(text: str, profile: Profile) -> str:
    found = woken(text, profile.phrases) if profile.name == "wake_phrase" else None
    return found.rest if found else text
