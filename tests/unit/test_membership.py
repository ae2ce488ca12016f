"""What a rebalance leaves to a worker, and what it remembers of itself on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faust.types import TP

from agents.membership import Grant, MemberFile, next_grant

pytestmark = pytest.mark.unit

A, B, C = (TP("rag.questions.v1", partition) for partition in range(3))
OLD = Grant(5, "me", {A: 3, B: 5})


Open = Callable[[], MemberFile]


@pytest.fixture
def member_file(tmp_path: Path) -> Iterator[Open]:
    """Opens a file as one more worker does; it lives as long as the test."""
    opened: list[MemberFile] = []

    def worker() -> MemberFile:
        opened.append(MemberFile(tmp_path / "members", "rag-answers"))
        return opened[-1]

    yield worker
    for file in opened:
        die(file)


def die(file: MemberFile) -> None:
    """What the kernel does when the process is gone."""
    if file._file is not None:
        file._file.close()


def test_the_first_grant_is_ours_from_its_generation_on() -> None:
    assert next_grant(None, 4, "me", [A, B]) == Grant(4, "me", {A: 4, B: 4})


def test_what_comes_back_in_the_very_next_generation_is_carried() -> None:
    assert next_grant(OLD, 6, "me", [A, C]) == Grant(6, "me", {A: 3, C: 6})


@pytest.mark.parametrize(("generation", "member"), [(7, "me"), (5, "me"), (1, "me"), (6, "me again")], ids=str)
def test_after_a_gap_or_as_another_member_nothing_is_carried(generation: int, member: str) -> None:
    assert next_grant(OLD, generation, member, [A, B]) == Grant(generation, member, {A: generation, B: generation})


def test_what_was_lost_in_between_is_ours_only_since_it_came_back() -> None:
    without_a = next_grant(OLD, 6, "me", [B])
    assert next_grant(without_a, 7, "me", [A, B]).since == {A: 7, B: 5}


def test_a_worker_reads_the_member_id_of_its_dead_predecessor(member_file: Open) -> None:
    predecessor = member_file()
    assert predecessor.read() == ""
    predecessor.write("member-1")
    die(predecessor)
    assert member_file().read() == "member-1"


def test_a_worker_beside_a_living_one_takes_a_file_of_its_own(member_file: Open) -> None:
    first = member_file()
    first.write("member-1")
    second = member_file()
    assert second.read() == ""
    second.write("member-2")
    assert first.read() == "member-1"


def test_a_shorter_member_id_replaces_a_longer_one(member_file: Open) -> None:
    file = member_file()
    file.write("a-long-member-id")
    file.write("short")
    assert file.read() == "short"
