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


def killed_during(offset: int, starts: int) -> int:
    """Number of starts that a process leaves behind that is killed while a record runs alone."""
    assignment = assigned(starts)
    fetched(assignment, 7, 8, 9)
    assignment.suspicion.alone = offset
    return committed(assignment)


def test_the_record_that_ran_alone_at_two_kills_is_known_at_the_next_start() -> None:
    once = killed_during(9, ALONE)
    assert (assigned(once).suspicion.suspect, assigned(once).suspicion.culprit) == (9, None)
    assert assigned(killed_during(9, once)).suspicion.culprit == 9


def test_kills_during_two_records_say_nothing_of_either() -> None:
    assert assigned(killed_during(8, killed_during(9, ALONE))).suspicion.culprit is None


def test_a_kill_after_a_record_has_run_alone_is_not_held_against_it() -> None:
    assignment = assigned(killed_during(9, ALONE))
    fetched(assignment, 7, 8, 9)
    following = assigned(committed(assignment)).suspicion
    assert (following.suspect, following.culprit, following.watch(10)) == (None, None, True)


def test_the_culprit_is_remembered_until_it_is_reached() -> None:
    assignment = assigned(ALONE + 1 + 2 * 2 + 1)
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
