"""Replays, pure: which records of a range are written again and as what, and how many questions that may be."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import structs

from pipeline.profiles import BALANCED, Profile, read_profile
from pipeline.questions import detect
from pipeline.sentences import Cut, Heard, Open, flush, push
from topics.messages import Ask, AsrChunk, Control, End, Transcript

_OFFSETS = re.compile(r"(\d+):(\d+)-(\d+)")


class Range(NamedTuple):
    """What of the live transcripts is meant; every part that is given has to hold.

    Attributes:
        session: of this one only.
        since, until: record times, seconds since 1970; `until` is not part of it.
        partition, first, last: offsets of one partition, both of them part of it.
    """

    session: str | None = None
    since: float = 0.0
    until: float = float("inf")
    partition: int | None = None
    first: int = 0
    last: int | None = None

    def holds(self, session: str, partition: int, offset: int, at: float) -> bool:
        """Whether a record belongs to it."""
        return (
            self.session in (None, session)
            and self.since <= at < self.until
            and self.partition in (None, partition)
            and self.first <= offset
            and (self.last is None or offset <= self.last)
        )


def parse_offsets(text: str) -> tuple[int, int, int]:
    """Partition, first and last offset.

    >>> parse_offsets("3:100-250")
    (3, 100, 250)

    Raises:
        ValueError: it is not of that form, or ends before it begins.
    """
    match = _OFFSETS.fullmatch(text.strip())
    if match is None or int(match[3]) < int(match[2]):
        raise ValueError(f"{text[:50]!r} is no PARTITION:FIRST-LAST such as 3:100-250")
    return int(match[1]), int(match[2]), int(match[3])


def replay_session(run: str, session: str) -> str:
    """Name of a session in a run: one level below it, and never a number, which would be an item.

    >>> replay_session("night", "call-7"), replay_session("night", "a/b"), replay_session("night", "12")
    ('night/call-7', 'night/a%2Fb', 'night/%312')
    """
    name = session.replace("%", "%25").replace("/", "%2F")
    if name.isdecimal():
        name = "".join(f"%{byte:02X}" for byte in name[0].encode()) + name[1:]
    return f"{run}/{name}"


class Written(NamedTuple):
    """One record to write: under which session, at which record time, and what it is a replay of."""

    session: str
    at: float
    record: Transcript
    of: str = ""


class Replay:
    """Takes the records of a range, each partition in its order, and says what is written of them.

    All that was said is heard again, at its own record time, and asks are asked. An `instant_query` becomes an ask of
    the latest final text. `cancel` and `stop` are left out: they took answers back that somebody had no use for any
    more, at a moment that does not come again. A session ends where the range does, and there only.

    Attributes:
        records: that are written, without the ends.
        left_out: commands that are not written.
        sessions: with a record that is written.
    """

    def __init__(self, run: str, profile: str | None = None) -> None:
        self._run, self._profile = run, profile
        self._latest: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self.records = self.left_out = 0

    @property
    def sessions(self) -> int:
        """How many there are by now."""
        return len(self._last)

    def take(self, session: str, offset: int, at: float, record: Transcript) -> Written | None:
        """What is written of one record; None: nothing."""
        said = self._said(session, record)
        if said is None:
            self.left_out += not isinstance(record, End)
            return None
        self.records += 1
        self._last[session] = max(at, self._last.get(session, 0.0))
        return Written(replay_session(self._run, session), at, said, f"{session}/{offset}")

    def _said(self, session: str, record: Transcript) -> Transcript | None:
        match record:
            case AsrChunk():
                if record.is_final and record.text.strip():
                    self._latest[session] = record.text.strip()
                return structs.replace(record, profile=self._profile) if self._profile else record
            case Ask():
                return record
            case Control(action="instant_query"):
                text = self._latest.get(session) or record.text
                return Ask(text=text, id=record.id, lang=record.lang) if text else None
        return None

    def ends(self) -> Iterator[Written]:
        """What closes each session."""
        for session, at in self._last.items():
            yield Written(replay_session(self._run, session), at, End())


class Estimate:
    """Counts what a replay would ask, by cutting and judging as the stages do with their default settings."""

    def __init__(self, profile: str | None = None) -> None:
        self._default: Profile = read_profile(profile, BALANCED)
        self._open: defaultdict[str, Open] = defaultdict(Open)
        self._profiles: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()
        self.finals = self.questions = 0

    def add(self, offset: int, written: Written) -> None:
        """Count a record."""
        record, client_id = written.record, getattr(written.record, "id", None)
        if isinstance(record, AsrChunk) and not record.is_final:
            return
        if client_id and (written.session, client_id) in self._seen:
            return  # sent again
        if client_id:
            self._seen.add((written.session, client_id))
        match record:
            case AsrChunk():
                self.finals += 1
                speaker, segment = (None if v is None else str(v) for v in (record.speaker, record.segment_id))
                heard = Heard(offset, record.text, written.at, speaker, record.lang, segment)
                self._open[written.session], cuts = push(self._open[written.session], heard)
                if record.profile:
                    self._profiles[written.session] = record.profile
                self._judge(cuts, self._profiles.get(written.session))
            case Ask():
                self.questions += 1
            case End():
                cuts = flush(self._open.pop(written.session, Open()))[1]
                self._judge(cuts, self._profiles.pop(written.session, None))

    def _judge(self, cuts: list[Cut], profile: str | None) -> None:
        for cut in cuts:
            judged_by = read_profile(profile, self._default)
            self.questions += detect(cut.text, lang=cut.lang, speaker=cut.speaker, profile=judged_by).is_question
