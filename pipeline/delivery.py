"""The client's view: one session's answers records folded into the messages that every gateway sends."""

from __future__ import annotations

from typing import Any, NamedTuple

from topics.messages import AnswerRecord, Begin, Claim, Done, Ended, Piece, Reply, Stopped, Verdict
from topics.sources import BEFORE_ALL, Source, public_id

Message = dict[str, Any]
ATTEMPTS_AN_EPOCH = 100  # attempt = epoch × this + retry


class View(NamedTuple):
    """What a client of one session has been told so far.

    Attributes:
        epoch: highest epoch met.
        said: last source said on arrival: a verdict or a stop.
        replied: last control replied to; apart from `said`, as a cancel overtakes an open sentence of a lower source.
        ended: last source whose question ended or was withdrawn.
        current: source of the running question.
        attempt: its attempt.
        upcoming: index of its next piece.
    """

    epoch: int = 0
    said: Source = BEFORE_ALL
    replied: Source = BEFORE_ALL
    ended: Source = BEFORE_ALL
    current: Source | None = None
    attempt: int = 0
    upcoming: int = 0


class Entry(NamedTuple):
    """One record of the answers topic with what its key and headers say."""

    session: str
    source: Source
    epoch: int
    record: AnswerRecord


def fold(view: View, entry: Entry) -> tuple[View, list[Message]]:
    """Take one record of the session into its view; what is void, repeated or overtaken gives no message."""
    record = entry.record
    if isinstance(record, Claim) or entry.epoch < view.epoch:
        return view, []
    view = view._replace(epoch=entry.epoch)
    match record:
        case Verdict():
            return _say(view, entry, _verdict(entry, record))
        case Reply():
            return _replied(view, entry, record)
        case Begin():
            return _begin(view, entry, record)
        case Piece():
            return _piece(view, entry, record)
        case Done():
            return _done(view, entry, record)
        case Stopped():
            return _stopped(view, entry)
        case Ended():
            return view, []


def _say(view: View, entry: Entry, messages: list[Message]) -> tuple[View, list[Message]]:
    return (view._replace(said=entry.source), messages) if entry.source > view.said else (view, [])


def _replied(view: View, entry: Entry, reply: Reply) -> tuple[View, list[Message]]:
    if entry.source <= view.replied:
        return view, []
    return view._replace(replied=entry.source), [_reply(entry, reply)]


def _begin(view: View, entry: Entry, begin: Begin) -> tuple[View, list[Message]]:
    source = entry.source
    if source <= view.ended or (view.current is not None and source < view.current):
        return view, []
    if source == view.current:
        if begin.attempt <= view.attempt:
            return view, []
        again = _querying(entry, begin, note="retrying")
        return view._replace(attempt=begin.attempt, upcoming=0), [again]
    messages: list[Message] = []
    if begin.withdrawn:
        # what a frozen owner ended has ended for the client, whatever its successor withdraws
        taken = [lower for text in begin.withdrawn if (lower := Source.parse(text)) > view.ended]
        messages += [_interrupting(entry, taken)] if taken else []
        view = view._replace(ended=just_below(source))
    messages += [_announcement(entry, begin), _querying(entry, begin, note="asking the knowledge")]
    return view._replace(current=source, attempt=begin.attempt, upcoming=0), messages


def _interrupting(entry: Entry, sources: list[Source]) -> Message:
    ids = [public_id(entry.session, source) for source in sources]
    return _status(entry, "interrupting", "superseded by a newer question", question_ids=ids)


def just_below(source: Source) -> Source:
    """The highest possible source that is lower.

    >>> Source(6, 999) < just_below(Source(7, 0)) < Source(7, 0)
    True
    """
    return Source(source.offset, source.char - 1)


def _piece(view: View, entry: Entry, piece: Piece) -> tuple[View, list[Message]]:
    if (entry.source, piece.attempt, piece.index) != (view.current, view.attempt, view.upcoming):
        return view, []
    return view._replace(upcoming=view.upcoming + 1), [
        _answer(entry, piece.attempt, piece.index, piece.text, final=False)
    ]


def _done(view: View, entry: Entry, done: Done) -> tuple[View, list[Message]]:
    goes_on = (entry.source, done.attempt, done.index) == (view.current, view.attempt, view.upcoming)
    # what a frozen owner began behind its successor's back is void for the successor, who ends without a begin
    overtaken = view.current is None or view.attempt < entry.epoch * ATTEMPTS_AN_EPOCH
    unseen = overtaken and entry.source > view.ended and not goes_on
    if not goes_on and not unseen:
        return view, []
    view = view._replace(ended=entry.source, current=None)
    return view, _ending(entry, done, unseen)


def _ending(entry: Entry, done: Done, unseen: bool) -> list[Message]:
    idle = _status(entry, "idle", "ready for the next question", question_id=_question_id(entry))
    match done.why:
        case "ok":
            index, text = (0, done.text) if unseen else (done.index, "")
            last = _answer(entry, done.attempt, index, text, final=True)
            last |= {"sources": done.sources, "usage": done.usage, "provider": done.provider, "found": done.found}
            return [last | {"timings": done.timings}, idle]
        case "error":
            return [_error(entry, "RAG_ERROR", done.error or "the provider failed"), idle]
        case "expired":
            return [_error(entry, "QUESTION_EXPIRED", done.error or "the question grew too old in the queue"), idle]
        case "cancelled":
            return [idle]
        case "interrupted":
            return [_interrupting(entry, [entry.source])]


def _stopped(view: View, entry: Entry) -> tuple[View, list[Message]]:
    if entry.source <= view.said:
        return view, []
    view = view._replace(said=entry.source, ended=max(view.ended, entry.source), current=None)
    return view, [_status(entry, "idle", "stopped"), _status(entry, "closed", "the session is closed")]


def _verdict(entry: Entry, verdict: Verdict) -> list[Message]:
    if verdict.kind == "failed":
        return [_error(entry, "SERVER_ERROR", verdict.reason)]
    told = {"text": verdict.text, "score": verdict.score, "reason": verdict.reason}
    return [_status(entry, "waiting_for_question", "this asks nothing", question_id=_question_id(entry), **told)]


def _reply(entry: Entry, reply: Reply) -> Message:
    if reply.code:
        return _error(entry, reply.code, reply.message, question_id=None)
    return _status(entry, reply.stage or "idle", reply.message)


def _announcement(entry: Entry, begin: Begin) -> Message:
    asked: Message = {"question": begin.question, "question_id": _question_id(entry)}
    asked |= {"redrive_of": begin.redrive_of} if begin.redrive_of else {}
    asked |= {"early": True} if begin.early else {}
    asked |= {"replaces": public_id(entry.session, Source.parse(begin.replaces))} if begin.replaces else {}
    if begin.mode == "instant":
        return _status(entry, "instant_query", "asked now", mode="instant", **asked)
    return _status(entry, "analyzing", "a question was heard", **asked)


def _querying(entry: Entry, begin: Begin, note: str) -> Message:
    asked = {"question": begin.question, "question_id": _question_id(entry), "attempt": begin.attempt}
    return _status(entry, "querying_rag", note, mode=begin.mode, **asked)


def _answer(entry: Entry, attempt: int, index: int, content: str, *, final: bool) -> Message:
    place = {"question_id": _question_id(entry), "attempt": attempt, "stream_index": index}
    return {"type": "answer", "session_id": entry.session, **place, "content": content, "final": final}


def _status(entry: Entry, stage: str, note: str, **fields: Any) -> Message:
    return {"type": "status", "session_id": entry.session, "stage": stage, "note": note, **fields}


def _error(entry: Entry, code: str, message: str, **fields: Any) -> Message:
    named = {"question_id": _question_id(entry)} | fields
    given = {name: value for name, value in named.items() if value is not None}
    return {"type": "error", "session_id": entry.session, "code": code, "message": message, **given}


def _question_id(entry: Entry) -> str:
    return public_id(entry.session, entry.source)
