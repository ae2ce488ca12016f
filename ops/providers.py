"""The command that sees whether providers keep their contract: ours on fakes, installed ones as they are set."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import RagError

if TYPE_CHECKING:
    from ops.contract import Bound, Subject

app = typer.Typer(no_args_is_help=True, help="Who answers: see whether a provider keeps what all providers keep.")


@app.callback()
def providers() -> None:
    """Who answers: see whether a provider keeps what all providers keep."""


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="default: all that come with the package")] = None,
    question: Annotated[str, typer.Option(help="that an installed provider can answer")] = "What do you know?",
) -> None:
    """Run the contract suite and print a table, a row a case; exit code 1 where something is not kept.

    Ours are asked on fakes of their servers. An installed one is asked as the environment sets it, some 30 questions.
    """
    from ops.contract import cases
    from ops.contract.table import table

    os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1")))
    bound = [case for subject in _subjects(names or [], question) for case in cases(subject)]
    outcomes = asyncio.run(_outcomes(bound))
    print("\n".join(table((name, "failed" if told else "passed") for name, told in outcomes.items())))
    unkept = {name: told for name, told in outcomes.items() if told}
    print("\n".join(["", *(f"{name}: {told}" for name, told in unkept.items())]) if unkept else "All of it is kept.")
    raise typer.Exit(1 if unkept else 0)


def _subjects(names: list[str], question: str) -> list[Subject]:
    """Those of a name, of which one provider may have several; an installed one where it is none of ours."""
    from ops.contract import Subject
    from ops.contract.ours import SUBJECTS

    if not names:
        return list(SUBJECTS.values())
    found: list[Subject] = []
    for name in names:
        ours = [subject for subject in SUBJECTS.values() if name in (subject.name, subject.provider)]
        found += ours or [Subject.installed(name, question)]
    return found


async def _outcomes(bound: list[Bound]) -> dict[str, str]:
    """What is not kept of each case, in words; nothing where it is."""
    outcomes: dict[str, str] = {}
    for case in bound:
        try:
            await case.run()
            outcomes[str(case)] = ""
        except RagError:
            raise
        except Exception as exc:  # noqa: BLE001 - anybody's code: the table says what it did
            outcomes[str(case)] = f"{type(exc).__name__}: {exc}"
    return outcomes
