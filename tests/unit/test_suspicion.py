"""Starts at one position in, which record ran alone when its process was killed out."""

from __future__ import annotations

import pytest
from faust.types import TP

from agents.assignment import Assignment
from agents.suspicion import ALONE
from pipeline.progress import Metadata

pytestmark = pytest.mark.unit


def assigned(starts: int, position: int = 7) -> Assignment:
    """A partition as the group gives it, after so many starts at its position."""
    return Assignment(TP("in", 0), 1, "me", position, Metadata(0, 0, 0, starts, 0).dump())


def fetched(assignment: Assignment, *offsets: int) -> None:
    assignment.progress.fetched(offsets)
    for offset in offsets:
        assignment.progress.take(offset)


def committed(assignment: Assignment, *, caught_up: bool = True) -> int:
    metadata = Metadata.parse(assignment.commitment(caught_up=caught_up)[1])
    assert metadata is not None
    return metadata.starts


def test_starts_at_one_position_are_counted_and_from_the_third_on_records_run_alone() -> None:
    starts, watched = 0, []
    for _ in range(4):
        assignment = assigned(starts)
        fetched(assignment, 7)
        starts = committed(assignment)
        watched.append(assignment.suspicion.watch(10))
    assert starts == ALONE
    assert watched == [False, False, True, True]


def test_the_record_that_ran_alone_when_the_process_was_killed_is_known_at_the_next_start() -> None:
    assignment = assigned(ALONE)
    fetched(assignment, 7, 8, 9)
    assignment.suspicion.alone = 9
    assert assigned(committed(assignment)).suspicion.culprit == 9


def test_the_culprit_is_remembered_until_it_is_reached() -> None:
    assignment = assigned(ALONE + 3)
    fetched(assignment, 7, 8, 9)
    assert assigned(assignment.starts).suspicion.culprit == 9
    assignment.progress.done(7)
    assert assigned(committed(assignment), position=8).suspicion.culprit == 9
    assignment.suspicion.found()
    assert committed(assignment) == 0


def test_a_start_counts_no_longer_when_the_position_has_moved_or_nothing_is_open() -> None:
    moved, idle = assigned(2), assigned(2)
    fetched(moved, 7, 8)
    moved.progress.done(7)
    assert committed(moved) == committed(idle) == 0


def test_a_start_still_counts_at_a_commit_before_the_first_fetch() -> None:
    """Nothing is open then either, but the record that kills may be the first that comes."""
    assert committed(assigned(2), caught_up=False) == ALONE


def test_whoever_leaves_in_order_has_not_been_killed() -> None:
    assignment = assigned(1)
    fetched(assignment, 7)
    assignment.suspicion.alone = 7
    assignment.suspicion.forgive()
    assert committed(assignment) == 1
