"""Turns the figures of all rounds into medians, ratios, one table for people and one JSON line for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.layouts import LAYOUTS, efficiency_target
from bench.stages import Figures

P50_TARGET, P99_TARGET = 1.5, 2.0  # times the bare side's
Rounds = Mapping[str, Mapping[str, Sequence[Figures]]]  # layout → side → one entry a round


class Spread(NamedTuple):
    """Lowest, median and highest of the rounds."""

    low: float
    mid: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(low=1.0, mid=2.0, high=3.0)
        """
        return cls(min(values), median(values), max(values))

    def show(self, digits: int = 2) -> str:
        """The median, and the range in brackets."""
        low, mid, high = (f"{value:,.{digits}f}" for value in self)
        return f"{mid} [{low}..{high}]"


class Ratio(NamedTuple):
    """Ours to bare, round by round, and what is asked of its median."""

    spread: Spread
    target: float | None
    at_least: bool

    @property
    def holds(self) -> bool | None:
        """Whether the median meets the target; None where there is none."""
        if self.target is None:
            return None
        return self.spread.mid >= self.target if self.at_least else self.spread.mid <= self.target


def ratios(layout: str, sides: Mapping[str, Sequence[Figures]]) -> dict[str, Ratio]:
    """The ratio of each measure, each round's pair on its own."""
    targets = {
        "records_per_cpu_second": (efficiency_target(layout), True),
        "records_per_second": (None, True),
        "p50": (P50_TARGET, False),
        "p99": (P99_TARGET, False),
    }
    pairs = list(zip(sides["ours"], sides["bare"], strict=True))
    return {
        name: Ratio(Spread.of([getattr(ours, name) / getattr(bare, name) for ours, bare in pairs]), *target)
        for name, target in targets.items()
    }


def machine() -> dict[str, Any]:
    """Where and when this was measured."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "unknown")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
    }


_ROW = "{:<10} {:<24} {:>30} {:>30} {:>22}  {}"
_DIGITS = {"records_per_cpu_second": 0, "records_per_second": 0, "p50": 2, "p99": 2}
_UNITS = {"p50": "p50 at 100/s, ms", "p99": "p99 at 100/s, ms"}


def stage_table(rounds: Rounds) -> Iterator[str]:
    """Lines of the comparison; each figure is the median of the rounds with their range."""
    yield _ROW.format("layout", "measure", "bare", "ours", "ours / bare", "target")
    for layout, sides in rounds.items():
        for name, ratio in ratios(layout, sides).items():
            shown = (
                Spread.of([getattr(figures, name) for figures in sides[side]]).show(_DIGITS[name])
                for side in ("bare", "ours")
            )
            measure = _UNITS.get(name, name.replace("_", " ").replace(" per ", "/"))
            yield _ROW.format(layout, measure, *shown, ratio.spread.show(), _verdict(ratio))


def _verdict(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f"{'>=' if ratio.at_least else '<='} {ratio.target:g} {'met' if ratio.holds else 'MISSED'}"


def stage_data(rounds: Rounds) -> dict[str, Any]:
    """The same for programs."""
    return {
        layout: {
            "concurrency": [step.concurrency for step in LAYOUTS[layout]],
            **{side: [figures._asdict() for figures in each] for side, each in sides.items()},
            "ratios": {
                name: ratio.spread._asdict() | {"target": ratio.target, "met": ratio.holds}
                for name, ratio in ratios(layout, sides).items()
            },
        }
        for layout, sides in rounds.items()
    }


def configuration_lines(bare: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Both configurations, and where they differ.

    >>> list(configuration_lines({"producer": {"acks": -1}}, {"producer": {"acks": 1}}))[-1]
    'differing: producer.acks bare -1, ours 1'
    """
    yield f"bare: {json.dumps(bare)}"
    yield f"ours: {json.dumps(ours)}"
    flat_bare, flat_ours = dict(_flat(bare)), dict(_flat(ours))
    differing = [
        f"{name} bare {flat_bare.get(name)}, ours {value}"
        for name, value in flat_ours.items()
        if flat_bare.get(name) != value
    ]
    yield "differing: " + ("; ".join(differing) or "nothing")


def _flat(configuration: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in configuration.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
