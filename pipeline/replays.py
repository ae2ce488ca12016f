"""Replays, pure: which records of a range are written again and as what, and how many questions that may be."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import structs

from pipeline.heard import grown, heard
from pipeline.joined import has_content
from pipeline.pauses import Growth
from pipeline.profiles import BALANCED, Profile, read_profile
from pipeline.questions import detect
from pipeline.sentences import DEFAULT_RULES, Cut, Open, Rules, flush, push, rules_with, talk
from topics.messages import Ask, AsrChunk, Control, End, Endpointing, Transcript

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

    def given(self) -> dict[str, Any]:
        """The parts that are given, by name.

        >>> Range(session="call-7", first=3).given()
        {'session': 'call-7', 'first': 3}
        """
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}

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

    Args:
        run: name of the run.
        profile: that judges every sentence, instead of the one that its session had.
        model: what hears every sentence, beside that profile.

    Attributes:
        records: that are written, without the ends.
        left_out: commands that are not written.
        sessions: with a record that is written.
    """

    def __init__(self, run: str, profile: str | None = None, model: str | None = None) -> None:
        self._run, self._profile, self._model = run, profile, model
        self._profiles: dict[str, str] = {}
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
                return structs.replace(record, profile=self._profile_of(session, record))
            case Ask():
                return record
            case Control(action="instant_query"):
                text = self._latest.get(session) or record.text
                return Ask(text=text, id=record.id, lang=record.lang) if text else None
        return None

    def _profile_of(self, session: str, chunk: AsrChunk) -> str | None:
        if self._model is None:
            return self._profile or chunk.profile
        if chunk.is_final and chunk.profile:
            self._profiles[session] = chunk.profile
        own = self._profile or self._profiles.get(session)
        return f"{own}; model={self._model}" if own else f"model={self._model}"

    def ends(self) -> Iterator[Written]:
        """What closes each session."""
        for session, at in self._last.items():
            yield Written(replay_session(self._run, session), at, End())


class _Speech:
    """What an estimate knows of one session."""

    def __init__(self) -> None:
        self.open = Open()
        self.growth: Growth | None = None
        self.seen: set[str] = set()
        self.said = ""
        self.lang: str | None = None
        self.profile: str | None = None
        self.endpointing: Endpointing | None = None


class Estimate:
    """Counts what a replay would ask, by cutting and judging as the stages do.

    Args:
        rules: when sentences end, of the deployment.
        profile: of sessions that name none, or only a part of one.
        model: what hears questions where the profile names none.
    """

    def __init__(self, rules: Rules = DEFAULT_RULES, profile: Profile = BALANCED, model: str = "linear") -> None:
        self._rules, self._profile, self._model = rules, profile, model
        self._sessions: defaultdict[str, _Speech] = defaultdict(_Speech)
        self.finals = self.questions = 0

    def add(self, offset: int, written: Written) -> None:
        """Count a record."""
        speech, record = self._sessions[written.session], written.record
        client_id = getattr(record, "id", None)
        is_interim = isinstance(record, AsrChunk) and not record.is_final
        if client_id and not is_interim:
            if client_id in speech.seen:
                return  # sent again
            speech.seen.add(client_id)
        match record:
            case AsrChunk():
                self._hear(speech, offset, written.at, record)
            case Ask():
                self._judge(speech, *flush(speech.open))
                self.questions += 1
            case End():
                self._judge(speech, *flush(speech.open))
                del self._sessions[written.session]

    def _hear(self, speech: _Speech, offset: int, at: float, chunk: AsrChunk) -> None:
        speech.endpointing = chunk.endpointing or speech.endpointing
        if chunk.is_final:
            self.finals += 1
            speech.lang, speech.profile = chunk.lang or speech.lang, chunk.profile or speech.profile
        taken = heard(chunk, offset, at, speech.lang, speech.growth)
        speech.growth = None if chunk.is_final else grown(speech.growth, chunk, offset, at, speech.open)
        if chunk.is_final or speech.open.fragments:
            hear = push if chunk.is_final else talk
            self._judge(speech, *hear(speech.open, taken, rules_with(self._rules, speech.endpointing)))

    def _judge(self, speech: _Speech, open_: Open, cuts: list[Cut]) -> None:
        speech.open = open_
        for cut in cuts:
            profile = read_profile(speech.profile, self._profile)
            verdict = detect(
                cut.text, speech.said, lang=cut.lang, profile=profile, speaker=cut.speaker, model=self._model
            )
            self.questions += verdict.is_question
            speech.said = cut.text if has_content(cut.text) else speech.said
