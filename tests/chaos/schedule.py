"""Which faults a run has and in which order: drawn from a seed, so that a run can be had again."""

from __future__ import annotations

import random
from typing import NamedTuple

STAGES = ("sentences", "questions", "answers")
CUTS = ("answer", "analyzing", "final", "now")  # what a client hears last; the second and third stand inside a record

KILLS = {"kill_worker": 0.80, "kill_gateway": 0.17, "kill_broker": 0.03}  # shares of the kills of a run
OTHERS = {  # how many of each for one kill
    "cut_client": 0.50,
    "term_worker": 0.10,
    "term_gateway": 0.04,
    "freeze_worker": 0.06,
    "freeze_open_sentence": 0.03,
    "freeze_gateway": 0.03,
    "freeze_broker": 0.015,
    "rolling_restart": 0.01,
    "scale": 0.01,
}
SMALL = 20  # kills; a smaller run has not every kind of fault
# Whom a batch loses: the gateway that writes its texts, a worker of a stage, any gateway, the broker.
BATCH = ("texts", *STAGES, "results", "gateway", "broker")
FROM, TO = 0.2, 0.8  # part of a batch between which it loses them


class Step(NamedTuple):
    """One fault.

    Attributes:
        kind: a key of `KILLS` or `OTHERS`.
        stage: of the worker that it hits.
        slot: which of the workers, gateways or clients; taken modulo how many there are.
        gap: seconds of quiet before it.
        down: seconds until what was killed is started again.
        where: message at which a client is cut.
        caught: the worker is held until it has something to read, and is killed then.
    """

    kind: str
    stage: str
    slot: int
    gap: float
    down: float
    where: str
    caught: bool


class Moment(NamedTuple):
    """One SIGKILL while a batch runs.

    Attributes:
        target: one of `BATCH`.
        part: how much of the batch is done where the target works on it.
        slot: which of the workers or gateways; taken modulo how many there are.
        down: seconds until what was killed is started again.
    """

    target: str
    part: float
    slot: int
    down: float


def draw_batch(seed: int, kills: int) -> list[Moment]:
    """The kills of a batch run: every target once, as far as they go, then drawn ones; its texts lose one gateway.

    >>> moments = draw_batch(7, 20)
    >>> {moment.target for moment in moments} == set(BATCH), all(FROM <= moment.part <= TO for moment in moments)
    (True, True)
    """
    dice = random.Random(f"batch {seed}")
    targets = dice.sample(BATCH, min(kills, len(BATCH)))
    targets += dice.choices(BATCH[1:], k=kills - len(targets))
    downs = (0.0, 0.0, 0.5, 2.0)
    return [Moment(name, dice.uniform(FROM, TO), dice.randrange(1000), dice.choice(downs)) for name in targets]


def draw(seed: int, kills: int) -> list[Step]:
    """The faults of a run with so many SIGKILLs.

    >>> steps = draw(7, 50)
    >>> sum(step.kind in KILLS for step in steps), {step.kind for step in steps} == {*KILLS, *OTHERS}
    (50, True)
    """
    dice = random.Random(f"schedule {seed}")
    kinds = _kills(kills)
    for kind, share in OTHERS.items():
        kinds += [kind] * max(kills >= SMALL, int(share * kills + dice.random()))
    dice.shuffle(kinds)
    return [_step(dice, kind) for kind in kinds]


def _kills(kills: int) -> list[str]:
    few = {kind: max(kills >= SMALL, round(share * kills)) for kind, share in KILLS.items() if kind != "kill_worker"}
    kinds = [kind for kind, count in few.items() for _ in range(count)]
    return kinds + ["kill_worker"] * (kills - len(kinds))


def _step(dice: random.Random, kind: str) -> Step:
    stage = dice.choice(STAGES)
    caught = stage == "questions" or dice.random() < 0.3  # a question is judged within a millisecond
    gap, down = dice.uniform(0.1, 1.2), dice.choice((0.0, 0.0, 0.5, 2.0))
    if kind == "freeze_open_sentence":
        stage = "sentences"
    return Step(kind, stage, dice.randrange(1000), gap, down, dice.choice(CUTS), caught)
