"""Offsets in, the position that may be committed and the bound of the read-back out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.progress import Fence, Metadata, Progress

pytestmark = pytest.mark.unit

HOLES = [3, 4, 7, 8, 9]  # offsets of a log with compaction and transaction markers


def taken(*offsets: int, start: int = 0) -> Progress:
    progress = Progress(start)
    progress.fetched(offsets)
    for offset in offsets:
        progress.take(offset)
    return progress


# -- position ----------------------------------------------------------------------------------------------------------


def test_the_position_is_the_lowest_record_that_is_not_done() -> None:
    progress = taken(0, 1, 2)
    positions = []
    for offset in (1, 0, 2):
        progress.done(offset)
        positions.append(progress.position())
    assert positions == [0, 2, 3]


def test_holes_in_the_log_are_not_waited_for() -> None:
    progress = taken(*HOLES, start=1)
    assert progress.position() == 3
    for offset in HOLES[:-1]:
        progress.done(offset)
    assert progress.position() == 9
    progress.done(9)
    assert progress.position() == 10


def test_a_partition_without_records_stays_where_it_was_committed() -> None:
    assert Progress(42).position() == 42


def test_open_counts_what_is_fetched_and_not_done() -> None:
    progress = taken(0, 1, 2)
    assert progress.open() == 3
    progress.done(1)
    assert progress.open() == 2
    progress.done(0)
    assert (progress.position(), progress.open()) == (2, 1)


def test_a_fetch_that_goes_back_without_a_seek_is_an_error() -> None:
    progress = taken(0, 1)
    with pytest.raises(RuntimeError, match="from 2 to 1"):
        progress.fetched([1, 2])


def test_what_was_fetched_and_not_taken_is_fetched_again_after_a_rewind() -> None:
    progress = Progress()
    progress.fetched([0, 1, 2, 3])
    progress.take(0)
    progress.take(1)
    progress.done(1)
    progress.rewind()
    assert (progress.next, progress.open(), progress.position()) == (2, 1, 0)
    progress.fetched([2, 3])
    progress.done(0)
    assert progress.position() == 2


# -- bound -------------------------------------------------------------------------------------------------------------


def test_without_anything_begun_at_or_above_the_position_there_is_no_bound() -> None:
    progress = taken(0, 1)
    progress.begun(0, 10, 1)
    assert progress.bound(1) is None


def test_the_bound_is_where_the_output_ended_when_the_first_of_them_was_begun() -> None:
    progress = taken(0, 1, 2)
    for offset, end in ((2, 5), (0, 7), (1, 9)):
        progress.begun(offset, end, 4)
    bound = progress.bound(1)
    assert bound is not None and (bound.output_end, bound.epoch) == (5, 4)


def test_a_record_done_above_the_position_still_holds_the_bound() -> None:
    progress = taken(0, 1)
    progress.begun(1, 5, 1)
    progress.done(1)
    progress.begun(0, 9, 1)
    bound = progress.bound(progress.position())
    assert bound is not None and bound.output_end == 5


def test_what_predecessors_began_keeps_the_bound_and_the_epoch_of_then() -> None:
    progress = Progress(4)
    progress.begun(4, 2, 1)  # read back
    progress.fetched([4])
    progress.take(4)
    progress.begun(4, 30, 3)
    bound = progress.bound(4)
    assert bound is not None and (bound.output_end, bound.epoch) == (2, 1)


class Lanes:
    """A stage that begins and finishes records in any order and writes outputs of what it has begun."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.progress = data, Progress()
        self.waiting: list[int] = []
        self.running: list[int] = []
        self.finished: set[int] = set()
        self.first_output: dict[int, int] = {}
        self.end = self.acknowledged = 0

    def pick(self, offsets: list[int]) -> int:
        return offsets.pop(self.data.draw(st.integers(0, len(offsets) - 1)))

    def step(self) -> None:
        action = self.data.draw(st.sampled_from(["fetch", "begin", "write", "acknowledge", "done"]))
        progress = self.progress
        if action == "fetch":
            first = progress.next + self.data.draw(st.integers(0, 2))
            offsets = list(range(first, first + self.data.draw(st.integers(1, 4)), 2)) or [first]
            progress.fetched(offsets)
            for offset in offsets[: self.data.draw(st.integers(1, len(offsets)))]:
                progress.take(offset)
                self.waiting.append(offset)
            if progress.taken != progress.next:
                progress.rewind()
        elif action == "begin" and self.waiting:
            offset = self.pick(self.waiting)
            progress.begun(offset, self.acknowledged, 1)
            self.running.append(offset)
        elif action == "write" and self.running:
            self.first_output.setdefault(self.data.draw(st.sampled_from(self.running)), self.end)
            self.end += 1
        elif action == "acknowledge" and self.acknowledged < self.end:
            self.acknowledged += 1
        elif action == "done" and self.running and self.acknowledged == self.end:
            offset = self.pick(self.running)
            progress.done(offset)
            self.finished.add(offset)

    def check(self) -> None:
        position = self.progress.position()
        open_ = {*self.waiting, *self.running}
        assert position == min(open_, default=self.progress.next)
        begun = self.progress.bound(position)
        bound = begun.output_end if begun else self.acknowledged
        assert all(at >= bound for offset, at in self.first_output.items() if offset >= position)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_output_of_a_record_at_or_above_the_position_stands_below_the_bound(data: st.DataObject) -> None:
    lanes = Lanes(data)
    for _ in range(data.draw(st.integers(1, 40))):
        lanes.step()
        if data.draw(st.booleans()):
            lanes.check()


# -- claims of the input ----------------------------------------------------------------------------------------------


def test_the_input_epoch_is_that_of_the_last_claim_below_the_position() -> None:
    progress = taken(0, 1, 2, 3)
    progress.claimed(1, 5)
    progress.claimed(3, 6)
    epochs = []
    for offset in range(4):
        progress.done(offset)
        progress.position()
        epochs.append(progress.input_epoch)
    assert epochs == [0, 5, 5, 6]


# -- fence -------------------------------------------------------------------------------------------------------------


def admitted(*log: tuple[str, int], epoch: int = 0) -> list[bool]:
    fence = Fence(epoch)
    return [fence.admits(epoch, is_claim=kind == "claim") for kind, epoch in log]


def test_records_below_the_last_claim_that_counts_are_void() -> None:
    log = [("record", 1), ("claim", 1), ("record", 1), ("claim", 2), ("record", 1), ("record", 2)]
    assert admitted(*log) == [True, True, True, True, False, True]


def test_a_claim_that_is_not_higher_does_not_count() -> None:
    assert admitted(("claim", 2), ("claim", 2), ("claim", 1), ("record", 1), epoch=1) == [True, False, False, False]


def test_a_fence_goes_on_from_the_epoch_of_the_place_where_reading_starts() -> None:
    assert admitted(("record", 3), ("record", 4), ("claim", 4), epoch=4) == [False, True, False]


@given(st.lists(st.tuples(st.sampled_from(["claim", "record"]), st.integers(0, 5)), max_size=12))
def test_the_epochs_of_valid_records_follow_the_highest_claim(log: list[tuple[str, int]]) -> None:
    highest = 0
    for (kind, epoch), valid in zip(log, admitted(*log), strict=True):
        assert valid == (epoch > highest if kind == "claim" else epoch >= highest)
        highest = max(highest, epoch) if kind == "claim" else highest


# -- metadata ----------------------------------------------------------------------------------------------------------


@given(st.builds(Metadata, *[st.integers(0, 2**63 - 1)] * 5))
def test_metadata_reads_back_and_is_short(metadata: Metadata) -> None:
    assert Metadata.parse(metadata.dump()) == metadata
    assert len(metadata.dump()) < 150


@pytest.mark.parametrize(
    "text", [None, "", "{}", "null", "[1,2,3,4,5]", '{"o":1}', '{"o":1,"e":1,"i":1,"s":1,"n":"1"}']
)
def test_metadata_that_was_lost_or_is_not_ours_is_none(text: str | None) -> None:
    assert Metadata.parse(text) is None
