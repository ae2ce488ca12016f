"""Command that shows how two runs differ, on the terminal and as one HTML file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.batch import GatewayError, Url, ask, each_result, gateway
from ops.compare_rows import answer, asked, figures, told
from ops.comparison_page import page
from ops.dlq import printable
from pipeline.comparison import LIVE, Comparison, Result, place_in, word_diff
from pipeline.comparison import compare as compared
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx
    from rich.text import Text

DIFFERENT = 1  # exit code, as of diff
STYLES = {"equal": "", "delete": "red strike", "insert": "green underline"}


def compare(
    run_a: Annotated[
        str, typer.Argument(help="a run or a task; live: what was answered live to the other one, a replay")
    ],
    run_b: Annotated[str, typer.Argument(help="another one")],
    html: Annotated[Path | None, typer.Option(help="also write a page that needs no network")] = None,
    url: Url = None,
) -> None:
    """Show which questions only one run has and which answers differ, with latency and usage."""
    with gateway(url) as client:
        comparison = compared(_results(client, run_a, run_b), _results(client, run_b, run_a))
    _show(run_a, run_b, comparison)
    if html is not None:
        try:
            html.write_text(page(run_a, run_b, comparison), encoding="utf-8")
        except OSError as exc:
            raise ConfigurationError(f"--html {html}: {exc.strerror}.") from exc
    raise typer.Exit(DIFFERENT if comparison.differs else 0)


def _results(client: httpx.Client, run: str, other: str) -> list[Result]:
    """Answers of a run, or the live ones that the other one replays; raises GatewayError where there are none."""
    found: list[Result]
    if run == LIVE:
        found = ask(client, "GET", f"/replays/{other}/live")["results"]
    else:
        found = list(each_result(client, f"/batch/runs/{run}/results"))
    if not found:
        raise GatewayError(f"There are no results of {run!r}; `realtime-rag batch list` shows the tasks.")
    return found


def _show(run_a: str, run_b: str, comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table("", printable(run_a), printable(run_b), box=None, pad_edge=False)
    for row in figures(comparison.before, comparison.after):
        table.add_row(*row)
    console.print(table)
    for line in chain(
        _listed("dropped", comparison.dropped), _listed("added", comparison.added), _changed(comparison.changed)
    ):
        console.print(line)
    console.print(told(comparison))


def _listed(kind: str, results: Iterable[Result]) -> Iterable[Text]:
    from rich.text import Text

    sign, style = {"dropped": ("-", "red"), "added": ("+", "green")}[kind]
    for result in results:
        yield Text(f"\n{sign} {printable(place_in(result))}  {printable(asked(result))}", style)
        yield Text(f"  {printable(answer(result))}", style)


def _changed(pairs: Iterable[tuple[Result, Result]]) -> Iterable[Text]:
    from rich.text import Text

    for before, after in pairs:
        head = Text(f"\n~ {printable(place_in(before))}  ", "bold")
        for of, line in ((asked, head), (answer, Text("  "))):
            for op, text in word_diff(printable(of(before)), printable(of(after))):
                marks = {"equal": text, "delete": f"[-{text}-]", "insert": f"{{+{text}+}}"}
                line.append(marks[op], STYLES[op])
            yield line
