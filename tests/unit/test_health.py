"""When a stage counts as ready, from what the broker says of its group."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from gateway.health import stage_check

pytestmark = pytest.mark.unit


def _group(*assigned: dict[str, list[int]], state: str = "Stable") -> dict[str, Any]:
    said = [ConsumerProtocolMemberAssignment(0, list(topics.items()), b"").encode() for topics in assigned]
    return {"state": state, "members": [{"member_assignment": data} for data in said]}


@pytest.mark.parametrize(
    ("group", "ok"),
    [
        (None, False),
        (_group(state="Empty"), False),
        (_group({"in": [0, 1, 2]}, state="PreparingRebalance"), False),
        (_group({"in": [0, 1]}), False),
        (_group({"in": [0, 1]}, {"in": []}), False),
        (_group({"other": [0, 1, 2]}), False),
        (_group({"in": [0, 1, 2]}), True),
        (_group({"in": [0]}, {"in": [1, 2], "other": [7]}), True),
        ({"state": "Stable", "members": [{"member_assignment": b""}]}, True),
        ({"state": "Stable", "members": []}, False),
    ],
)
def test_a_stage_is_ready_when_its_members_have_every_partition(group: dict[str, Any] | None, ok: bool) -> None:
    assert stage_check(group, "in", partitions=3).ok is ok
