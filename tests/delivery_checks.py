"""What must hold of a log of answers, whoever wrote it and however often it was interrupted."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

from pipeline import cursor as cursors
from pipeline import delivery
from pipeline.delivery import Entry, Message, View
from pipeline.progress import Metadata
from tests.simulated_cluster import Cluster, Stored
from topics import headers
from topics.catalog import ANSWERS, QUESTIONS
from topics.codec import decode
from topics.messages import Control, NotAQuestion, Question, Record, Stopped
from topics.sources import BEFORE_ALL, Source, public_id


class Asked(NamedTuple):
    """A valid record of the input."""

    offset: int
    session: str
    source: Source
    record: Record

    @property
    def id(self) -> str:
        """As clients name it."""
        return public_id(self.session, self.source)

    @property
    def is_question(self) -> bool:
        """Whether it must have an end."""
        if isinstance(self.record, Question):
            return self.record.confirms is None
        return isinstance(self.record, Control) and self.record.action == "instant_query"


class Told(NamedTuple):
    """A message, and where a client that has just received it stands."""

    message: Message
    cursor: str


def entry_of(stored: Stored) -> Entry | None:
    """None: a claim."""
    stamp = headers.read_stamp(stored.headers)
    if stamp.source is None:
        return None
    return Entry((stored.key or b"").decode(), stamp.source, stamp.epoch, decode(ANSWERS, stored.value))


def valid_input(cluster: Cluster) -> list[Asked]:
    """The input without claims and what is void by them."""
    epoch, asked = 0, []
    for stored in cluster.input:
        stamp = headers.read_stamp(stored.headers)
        epoch = max(epoch, stamp.epoch) if stamp.is_claim else epoch
        if stamp.source is not None and stamp.epoch >= epoch:
            session = (stored.key or b"").decode()
            asked.append(Asked(stored.offset, session, stamp.source, decode(QUESTIONS, stored.value)))
    return asked


class Client:
    """A gateway that follows one session from the beginning and hands out a cursor with every message."""

    def __init__(self, session: str) -> None:
        self.session, self.view, self.at = session, View(), 0
        self.told: list[Told] = []
        self.ends: Counter[str] = Counter()

    def follow(self, log: list[Stored], until: int) -> None:
        """Read on."""
        for stored in log[self.at : until]:
            entry = entry_of(stored)
            if entry is not None and entry.session == self.session:
                self._take(entry, stored)
        self.at = max(self.at, until)

    def _take(self, entry: Entry, stored: Stored) -> None:
        before = self.view
        self.view, messages = delivery.fold(before, entry)
        for seen, message in enumerate(messages, 1):
            cursor = cursors.Cursor.at(self.session, stored.offset, before, seen, stored.value)
            self.told.append(Told(message, cursor.dump()))
            self.ends.update(ended_by(message))
        if messages and isinstance(entry.record, Stopped):
            names = [public_id(self.session, Source.parse(text)) for text in entry.record.withdrawn]
            self.ends.update(name for name in names if not self.ends[name])


def ended_by(message: Message) -> list[str]:
    """The questions that have ended with this message."""
    match message.get("stage"):
        case "idle" if "question_id" in message:
            return [message["question_id"]]
        case "interrupting":
            return list(message["question_ids"])
        case _:
            return []


def resumed(log: list[Stored], session: str, text: str) -> list[Message]:
    """What any gateway tells a client that comes with a cursor."""
    cursor = cursors.Cursor.parse(text, session)
    view, told = cursor.view, []
    for stored in log[cursor.offset :]:
        entry = entry_of(stored)
        if stored.offset == cursor.offset:
            cursor.check(stored.value)
        if entry is not None and entry.session == session:
            view, messages = delivery.fold(view, entry)
            told += messages[cursor.seen if stored.offset == cursor.offset else 0 :]
    return told


# -- rules: each gives what it found wrong -----------------------------------------------------------------------------


def check(cluster: Cluster, sessions: list[str]) -> set[str]:
    """Every rule over a finished run."""
    asked = valid_input(cluster)
    wrong = set(check_commits(cluster, asked, sessions)) | set(check_writers(cluster))
    for session in sessions:
        client = Client(session)
        client.follow(cluster.output, len(cluster.output))
        messages = [told.message for told in client.told]
        wrong |= set(check_ends(client, [one for one in asked if one.session == session]))
        wrong |= set(check_order(messages)) | set(check_answers(messages, cluster.scripts))
        wrong |= set(check_resume(cluster, client))
    return wrong


def check_commits(cluster: Cluster, asked: list[Asked], sessions: list[str]) -> Any:
    """No position past an unfinished record; no output of a record at or above the position below the bound."""
    clients = {session: Client(session) for session in sessions}
    made_from = [headers.read_stamp(stored.headers).origin for stored in valid_output(cluster)]
    offsets = [stored.offset for stored in valid_output(cluster)]
    for position, text, length in cluster.commits:
        for client in clients.values():
            client.follow(cluster.output, length)
        if any(not is_finished(one, clients[one.session].view) for one in asked if one.offset < position):
            yield "a position past an unfinished record"
        metadata = Metadata.parse(text)
        assert metadata is not None
        if any(origin >= position and at < metadata.bound for origin, at in zip(made_from, offsets, strict=True)):
            yield "an output below the bound"


def is_finished(asked: Asked, view: View) -> bool:
    """Whether its clients have heard all that comes of it."""
    match asked.record:
        case NotAQuestion() | Control(action="stop"):
            return asked.source <= view.said
        case Control(action="cancel", question_id=named):
            was_open = named is not None and Source.parse(named.rpartition("/")[2]) <= view.ended
            return was_open or asked.source <= view.replied
        case _:
            return not asked.is_question or asked.source <= view.ended


def valid_output(cluster: Cluster) -> list[Stored]:
    """Outputs without claims and what is void by them."""
    epoch, valid = 0, []
    for stored in cluster.output:
        stamp = headers.read_stamp(stored.headers)
        if stamp.is_claim:
            epoch = max(epoch, stamp.epoch)
        elif stamp.epoch >= epoch:
            valid.append(stored)
    return valid


def check_writers(cluster: Cluster) -> Any:
    """An epoch belongs to one worker."""
    writers: dict[int, int] = {}
    for stored in valid_output(cluster):
        epoch = headers.read_stamp(stored.headers).epoch
        if writers.setdefault(epoch, stored.writer) != stored.writer:
            yield "two writers in one epoch"


def check_ends(client: Client, asked: list[Asked]) -> Any:
    """Every question has exactly one end, every verdict is told once, and nothing is told of void records."""
    questions = {one.id for one in asked if one.is_question}
    named = {one.record.question_id for one in asked if isinstance(one.record, Control)}
    replaced = {source for one in asked if (source := getattr(one.record, "replaces", None))}
    named |= {public_id(client.session, Source.parse(source)) for source in replaced}
    for question in questions:
        if client.ends[question] != 1:
            yield "a question without an end" if not client.ends[question] else "a question with two ends"
    verdicts = Counter(told.message["question_id"] for told in client.told if _stage(told) == "waiting_for_question")
    if verdicts != Counter(one.id for one in asked if isinstance(one.record, NotAQuestion)):
        yield "a verdict lost or told twice"
    if {told.message["question_id"] for told in client.told if "question_id" in told.message} - {o.id for o in asked}:
        yield "something told of a void record"
    ended_well = {told.message.get("question_id") for told in client.told if _final(told) or _error(told)}
    idle = {told.message.get("question_id") for told in client.told if _stage(told) == "idle"} - {None}
    if idle - ended_well - named:
        yield "a question cancelled that nobody named"


def _stage(told: Told) -> Any:
    return told.message.get("stage")


def _final(told: Told) -> bool:
    return bool(told.message.get("final"))


def _error(told: Told) -> bool:
    return told.message["type"] == "error"


def check_order(messages: list[Message]) -> Any:
    """Questions begin in the order of their sources, and nothing of one is told after its end."""
    ended: set[str] = set()
    last = BEFORE_ALL
    for message in messages:
        question = message.get("question_id")
        if question in ended:
            yield "a message after the end of its question"
        if message.get("stage") in ("analyzing", "instant_query"):
            source = Source.parse(str(question).rpartition("/")[2])
            if source <= last:
                yield "questions out of order or begun twice"
            last = source
        ended |= set(ended_by(message))


def check_answers(messages: list[Message], scripts: list[str]) -> Any:
    """Indexes from 0 without gap or repeat; what stands before a final chunk is one whole answer of the provider."""
    heard: list[Message] = []
    for message in messages:
        if message.get("stage") == "querying_rag":
            heard = []
        if message["type"] != "answer":
            continue
        heard.append(message)
        if message["stream_index"] != len(heard) - 1:
            yield "an index missing or repeated"
        if len({(one["question_id"], one["attempt"]) for one in heard}) > 1:
            yield "two attempts in one answer"
        if message["final"]:
            text = "".join(one["content"] for one in heard)
            if text and not _is_whole(text, scripts):
                yield "an answer that no provider gave"
            heard = []


def _is_whole(text: str, scripts: list[str]) -> bool:
    serial = re.match(r"\d+", text)
    return serial is not None and text == scripts[int(serial[0])]


def check_resume(cluster: Cluster, client: Client) -> Any:
    """Cut anywhere: what comes after the cursor is what an uninterrupted client heard after that message."""
    messages = [told.message for told in client.told]
    for _ in range(min(4, len(messages))):
        at = cluster.chance.randrange(len(messages))
        if resumed(cluster.output, client.session, client.told[at].cursor) != messages[at + 1 :]:
            yield "a resumed client misses or repeats something"
