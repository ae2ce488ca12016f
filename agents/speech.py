"""What the sentences stage holds of one session, and what it writes and reads back of it."""

from __future__ import annotations

from agents.unit import Unit
from pipeline.delivery import just_below
from pipeline.early import Asked, Early
from pipeline.heard import grown, heard
from pipeline.pauses import Growth
from pipeline.sentences import Cut, Heard, Open
from pipeline.unmarked import has_marks
from topics.messages import Ask, AsrChunk, Control, End, Endpointing, Failed, Record, Sentence
from topics.sources import BEFORE_ALL, Source

SPEAKS = 10.0  # seconds without another word after which no final chunk is waited for
REMEMBERED_IDS = 256  # of one session: a client resends what was not acknowledged, which is never more


class Speech:
    """What is held of one session."""

    def __init__(self) -> None:
        self.open = Open()
        self.held: dict[int, Unit] = {}  # chunks of the open sentence, by offset
        self.growth: Growth | None = None  # of the segment that is being heard
        self.growing: dict[int, Unit] = {}  # first chunks of it and of the segments in `held`, by offset
        self.early = Early()
        self.overheard: Unit | None = None  # interim chunk of `early.heard`
        self.spoken: Source = BEFORE_ALL  # where the last sentence ended
        self.told: Source = BEFORE_ALL  # the last control, ask or end
        self.ids: dict[str, int] = {}  # offset of recent client ids, oldest first
        self.latest = ""  # latest final text
        self.lang: str | None = None
        self.profile: str | None = None
        self.endpointing: Endpointing | None = None
        self.heard_at = 0.0  # monotonic seconds of the last record

    def is_idle(self) -> bool:
        """Whether nothing is held."""
        return not self.held and not self.growing and self.overheard is None

    def repeats(self, client_id: str | None, offset: int) -> bool:
        """Whether the client sent this before; if not it is remembered. A record read again does not repeat itself."""
        if not client_id:
            return False
        if (known := self.ids.get(client_id)) is not None:
            return known < offset
        self.ids[client_id] = offset
        if len(self.ids) > REMEMBERED_IDS:
            del self.ids[next(iter(self.ids))]
        return False

    def overhear(self, early: Early, unit: Unit | None = None) -> None:
        """Take another state of what is being said; `unit` is the chunk that was heard. The one of `heard` is held."""
        new = early.heard is not None and early.heard is not self.early.heard
        if new and unit is not None:
            unit.hold()
        if (new or early.heard is None) and self.overheard is not None:
            self.overheard.release()
            self.overheard = None
        if new:
            self.overheard = unit
        self.early = early

    def grow(self, unit: Unit, chunk: AsrChunk) -> None:
        """Listen to how a segment grows where its marks do not say where sentences end.

        Its first chunk is held until its sentences are written: a successor hears the same pauses.
        """
        self.growth = grown(self.growth, chunk, unit.raw.offset, unit.time, self.open)
        if self.growth is not None and self.growth.offset == unit.raw.offset:
            unit.hold()
            self.growing[unit.raw.offset] = unit
        self.let_go()

    def give_up(self, clock: float) -> None:
        """Wait for no final chunk any more if no word came for long at `clock`."""
        if self.growth is not None and clock - self.growth.steps[-1][1] > SPEAKS:
            self.growth = None

    def break_off(self) -> None:
        """What is being said comes to nothing: no final chunk of it is waited for, and no early sentence settled."""
        self.overhear(Early())
        self.growth = None
        self.let_go()

    def let_go(self) -> None:
        """Release first chunks that are of nothing any more."""
        known = [self.growth, *(fragment.heard.growth for fragment in self.open.fragments)]
        needed = {growth.offset for growth in known if growth is not None}
        for offset in [offset for offset in self.growing if offset not in needed]:
            self.growing.pop(offset).release()

    def recall(self, source: Source, record: Record) -> None:
        """Know what a predecessor wrote."""
        match record:
            case Sentence():
                self.spoken = max(self.spoken, source)
                self.latest = record.latest or self.latest
                self.endpointing = record.endpointing or self.endpointing
                for client_id, offset in zip(record.ids, record.offsets, strict=False):
                    self.repeats(client_id, offset)
                self._recall_end(source, record)
            case Control() | Ask() | End() | Failed():
                self.told = max(self.told, source)
                if not passes_by(record):
                    self.spoken = max(self.spoken, just_below(source))
                for client_id in ids_of(record):
                    self.repeats(client_id, source.offset)
                if withdraws(record):
                    self.early = Early()

    def _recall_end(self, source: Source, sentence: Sentence) -> None:
        if sentence.ended_by == "early":
            speaker = None if sentence.speaker is None else str(sentence.speaker)
            self.early = Early(asked=Asked(source, sentence.text, speaker, sentence.spoken_until))
            return
        self.open = Open(punctuated=self.open.punctuated or has_marks(sentence.text))
        if sentence.settles:
            self.early = Early()

    def heard(self, unit: Unit, chunk: AsrChunk) -> Heard:
        """A chunk as the cutter takes it; a final one ends the growth of its segment."""
        growth = self.growth
        if chunk.is_final:
            self.growth = None
        return heard(chunk, unit.raw.offset, unit.time, self.lang, growth)

    def sentence(self, cut: Cut, settles: str | None = None, *, is_last: bool = True) -> Sentence:
        """The record of a sentence whose chunks are still held; `settles` is the source of the early one it became.

        Of sentences that are cut together the last says what was heard last: it may be a thousand times as long as one.
        """
        ids = [self.held[offset].record.id or "" for offset in cut.offsets if offset in self.held]
        return Sentence(
            text=cut.text,
            ended_by=cut.ended_by,
            offsets=list(cut.offsets),
            ids=ids if any(ids) else [],
            latest=self.latest if is_last else "",
            lang=cut.lang,
            speaker=cut.speaker,
            profile=self.profile,
            endpointing=self.endpointing,
            spoken_from=cut.began_at,
            spoken_until=cut.ended_at,
            settles=settles,
        )


def passes_by(record: Record) -> bool:
    """Whether the open sentence goes on behind a record."""
    return isinstance(record, Control) and record.action == "cancel"


def withdraws(record: Record) -> bool:
    """Whether no sentence goes on behind a record, and no early one is settled any more."""
    return isinstance(record, End) or (isinstance(record, Control) and record.action != "cancel")


def ids_of(record: Record) -> list[str]:
    """Client ids that a record carries on."""
    own = getattr(record, "id", None)
    return [*([own] if own else []), *getattr(record, "ids", [])]
