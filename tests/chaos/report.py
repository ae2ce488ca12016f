"""One JSON line about a run, and whether it counts and passed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.chaos.checker import Findings

SHARE_AMID = 0.5  # of the kills of a batch: the part that has to come when some of its work is done and some is not
QUESTIONS, INTERRUPTED = 50, 10  # a run that has fewer shows nothing
FULL = 50  # kills from which on a run must have all of them; a smaller run its share
KILLS = ("kill_worker", "kill_gateway", "kill_broker")


class Report(NamedTuple):
    """The figures of a run; `failures` says in words why it failed, if it did."""

    figures: dict[str, Any]
    failures: list[str]

    @property
    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(self.figures | {"passed": not self.failures, "failures": self.failures}, ensure_ascii=False)


def report(seed: int, kills: int, findings: Findings, run: dict[str, Any] | None = None) -> Report:
    """Put a run's figures together; `kills` is how many SIGKILLs it was to have, `run` what else is known of it."""
    figures = findings.figures
    done = sum(figures["ends"].get(kind, 0) for kind in KILLS)
    met = sum(figures["met_open_records"].get(kind, 0) for kind in KILLS)
    told = {"seed": seed, "kills": done, "kills_that_met_open_records": met, **(run or {})}
    share = min(1.0, kills / FULL)
    failures = [f"{count} violations: {name}" for name, count in findings.counts.items() if count]
    if figures["questions"] < QUESTIONS * share:
        failures.append(f"only {figures['questions']} questions: this run shows too little")
    if figures["interrupted_answers"] < INTERRUPTED * share:
        failures.append(f"only {figures['interrupted_answers']} interrupted answers: this run shows too little")
    if met < kills:
        failures.append(f"only {met} of {kills} kills met open records")
    return Report({**told, **findings.counts, **figures}, failures)


def batch_report(seed: int, kills: int, findings: Findings, run: dict[str, Any] | None = None) -> Report:
    """The same of a run of one batch."""
    figures = findings.figures
    amid = sum(0 < kill["done"] < 1 for kill in figures["kills_at"])
    told = {"seed": seed, "kills": len(figures["kills_at"]), "kills_amid_work": amid, **(run or {})}
    failures = [f"{count} violations: {name}" for name, count in findings.counts.items() if count]
    if amid < kills * SHARE_AMID:
        failures.append(f"only {amid} of {kills} kills came in the middle of work: this run shows too little")
    return Report({**told, **findings.counts, **figures}, failures)
