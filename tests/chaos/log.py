"""The topics as the checker reads them: which records are void, which stand twice, and when each one was finished."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.chaos.evidence import Commit, Entry

Source = tuple[int, int]
STAGES = {"sentences": "transcripts", "questions": "sentences", "answers": "questions"}  # and what each of them reads
NEVER = math.inf


def source_of(text: str) -> Source:
    """Read `offset.char`.

    >>> source_of("12.25"), source_of("12")
    ((12, 25), (12, 0))
    """
    offset, _, char = text.partition(".")
    return int(offset), int(char or 0)


class Said(NamedTuple):
    """A valid record that is about something."""

    session: str
    source: Source
    entry: Entry

    @property
    def kind(self) -> str:
        """Its `type`."""
        return str(self.entry.value.get("type", "asr_chunk"))

    @property
    def chunks(self) -> list[int]:
        """Offsets of the chunks that a sentence holds, or of the one that its stage could not handle."""
        return [self.source[0]] if self.kind == "failed" else list(self.entry.value.get("offsets", ()))


class Task(NamedTuple):
    """A record of a stage's input: when it came and when all that it caused was stored."""

    partition: int
    offset: int
    came: float
    finished: float


class Log:
    """All topics of a run.

    Attributes:
        said: the valid records of each topic, in order.
        twice: records of each topic that are void, or valid but say what an earlier valid one said.
        texts: of each answered question the whole texts; a frozen writer's too, as clients know no claims.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.said: dict[str, list[Said]] = defaultdict(list)
        self.twice: dict[str, Counter[str]] = defaultdict(Counter)
        self.texts: dict[str, set[str]] = defaultdict(set)
        self._known: set[Any] = set()
        highest: Counter[tuple[str, int]] = Counter()
        for entry in entries:
            if entry.topic != "dead-letters":
                self._take(entry, highest)
        self.asked = self._asked()

    def _take(self, entry: Entry, highest: Counter[tuple[str, int]]) -> None:
        place = entry.topic, entry.partition
        if entry.topic == "transcripts":
            self._transcript(entry)
            return
        epoch = int(entry.headers.get("rag-epoch", "0"))
        is_void = epoch < highest[place]
        highest[place] = max(highest[place], epoch)
        if "rag-source" not in entry.headers or entry.value is None:
            return
        said = Said(entry.key or "", source_of(entry.headers["rag-source"]), entry)
        self._count(entry.topic, _identity(said), is_void)
        if said.kind == "done" and entry.value["why"] == "ok":
            self.texts[public_id(said)].add(entry.value.get("text", ""))
        if not is_void:
            self.said[entry.topic].append(said)

    def _transcript(self, entry: Entry) -> None:
        if entry.value is None:
            return
        said = Said(entry.key or "", (entry.offset, 0), entry)
        client_id = entry.value.get("id")
        repeated = client_id is not None and ("transcripts", said.session, client_id) in self._known
        self._count("transcripts", ("transcripts", said.session, client_id or entry.offset), is_void=repeated)
        if not repeated:
            self.said["transcripts"].append(said)

    def _count(self, topic: str, identity: Any, is_void: bool) -> None:
        if is_void:
            self.twice[topic]["void"] += 1
        elif identity in self._known:
            self.twice[topic]["valid"] += 1
        else:
            self._known.add(identity)

    def _asked(self) -> dict[str, dict[str, str]]:
        """Of each session the ids of its questions, with what is asked."""
        asked: dict[str, dict[str, str]] = defaultdict(dict)
        for said in self.said["questions"]:
            instant = said.kind == "control" and said.entry.value["action"] == "instant_query"
            if (said.kind == "question" or instant) and said.entry.value.get("text"):
                asked[said.session][public_id(said)] = said.entry.value["text"]
        return asked

    def tasks(self, stage: str) -> list[Task]:
        """The valid records of a stage's input."""
        finished = {"sentences": self._heard, "questions": self._judged, "answers": self._answered}[stage]()
        return [
            Task(said.entry.partition, said.entry.offset, said.entry.time, time)
            for said, time in zip(self.said[STAGES[stage]], finished, strict=True)
        ]

    def _heard(self) -> Iterator[float]:
        """A chunk is done with the last sentence that holds any of it, or with the instant query that took it."""
        first = _first_times(self.said["sentences"])
        cut: dict[tuple[str, int], float] = {}
        instants: dict[str, list[Source]] = defaultdict(list)
        for said in self.said["sentences"]:
            time = first[said.session, said.source]
            for offset in said.chunks:
                cut[said.session, offset] = max(cut.get((said.session, offset), 0.0), time)
            if said.kind == "control" and said.entry.value["action"] == "instant_query":
                instants[said.session].append(said.source)
        for said in self.said["transcripts"]:
            value = said.entry.value
            if said.kind != "asr_chunk":
                yield first.get((said.session, said.source), NEVER)
            elif not value.get("is_final", True) or not value["text"].strip():
                yield said.entry.time
            elif (said.session, said.source[0]) in cut:
                yield cut[said.session, said.source[0]]
            else:
                taken = [first[said.session, later] for later in instants[said.session] if later > said.source]
                yield min(taken, default=NEVER)

    def _judged(self) -> Iterator[float]:
        first = _first_times(self.said["questions"])
        return (first.get((said.session, said.source), NEVER) for said in self.said["sentences"])

    def _answered(self) -> Iterator[float]:
        ends = self._ends()
        for said in self.said["questions"]:
            value, own = said.entry.value, ends.get((said.session, said.source), NEVER)
            if said.kind == "control" and value["action"] == "cancel":
                named = value.get("question_id") or ""
                other = source_of(named.rpartition("/")[2]) if named else (-1, 0)
                yield min(own, ends.get((said.session, other), NEVER))
            else:
                yield own

    def _ends(self) -> dict[tuple[str, Source], float]:
        """When the answers topic first said the last of something."""
        ends: dict[tuple[str, Source], float] = {}
        for said in self.said["answers"]:
            withdrawn = [source_of(text) for text in said.entry.value.get("withdrawn", ())]
            own = [said.source] if said.kind in ("done", "verdict", "reply", "stopped", "ended") else []
            for source in [*own, *withdrawn]:
                ends.setdefault((said.session, source), said.entry.time)
        return ends


def _identity(said: Said) -> Any:
    """One record a source, but for answers: there one of each kind, and of each attempt and index."""
    topic, value = said.entry.topic, said.entry.value
    own = (value.get("attempt"), value.get("index")) if said.kind in ("begin", "piece") else ()
    return topic, said.session, said.source, said.kind if topic == "answers" else "", own


def _first_times(records: Iterable[Said]) -> dict[tuple[str, Source], float]:
    times: dict[tuple[str, Source], float] = {}
    for said in records:
        times.setdefault((said.session, said.source), said.entry.time)
    return times


def public_id(said: Said) -> str:
    """The name that clients know."""
    return f"{said.session}/{said.source[0]}.{said.source[1]}"


def early_commits(tasks: Iterable[Task], commits: Iterable[Commit], slack: float = 0.005) -> list[Task]:
    """Records that a commit left behind before they were finished; `slack` seconds for rounding to milliseconds."""
    steps: dict[int, list[Commit]] = defaultdict(list)
    for commit in sorted(commits, key=lambda commit: commit.time):
        known = steps[commit.partition]
        if not known or commit.offset > known[-1].offset:
            known.append(commit)
    offsets = {partition: [commit.offset for commit in known] for partition, known in steps.items()}
    found = []
    for task in tasks:
        first = bisect_right(offsets.get(task.partition, []), task.offset)
        known = steps[task.partition]
        if first < len(known) and task.finished > known[first].time + slack:
            found.append(task)
    return found
