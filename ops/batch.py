"""Commands for batch tasks: submit texts to a gateway, follow them, read their results."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ops.surroundings import check_readable
from pipeline.errors import ConfigurationError, RagError
from pipeline.settings import Settings
from pipeline.texts import format_of

if TYPE_CHECKING:
    import httpx

app = typer.Typer(no_args_is_help=True, help="Batch tasks: many texts, answered in the background.")

Url = Annotated[
    str | None, typer.Option("--url", envvar="GATEWAY_URL", help="of the gateway; default: this machine, PORT")
]
NOT_ALL = 1  # exit code: items failed, or the task did not complete
PAGE = 1000
READ = 64 * 1024  # bytes
ENDED = ("completed", "failed", "cancelled")


class GatewayError(RagError):
    """The gateway is not there, or refuses; the message says why."""


@contextmanager
def gateway(url: str | None) -> Iterator[httpx.Client]:
    """A client of the gateway, with the first of API_KEYS; raises GatewayError when it is not there."""
    import httpx  # here, as other commands start sooner without

    settings = Settings.from_env(os.environ)
    key = settings.api_keys.partition(",")[0].strip()
    base = url or f"http://127.0.0.1:{settings.port}"
    headers = {"X-API-Key": key} if key else {}
    with httpx.Client(base_url=base, headers=headers, timeout=httpx.Timeout(30, read=None), trust_env=False) as client:
        try:
            yield client
        except httpx.HTTPError as exc:
            raise GatewayError(f"No gateway answers at {base} ({exc}). Start it, or name it with --url.") from exc


def ask(client: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    """What the gateway answers under `/api`; raises GatewayError when it refuses."""
    answer = client.request(method, f"/api{path}", **options)
    if answer.is_success:
        return dict(answer.json())
    raise _refusal(answer)


def _refusal(answer: httpx.Response) -> GatewayError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return GatewayError(f"{problem.get('code', answer.status_code)}: {problem.get('detail', 'the gateway refused')}")


def each_result(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Every result of a task or run, page by page."""
    number = 1
    while found := ask(client, "GET", path, params={"page": number, "size": PAGE})["results"]:
        yield from found
        number += 1


@app.command()
def submit(
    file: Annotated[str, typer.Argument(help="one text a line, .jsonl or .csv; - is standard input")],
    name: Annotated[str | None, typer.Option(help="of the task; default: of the file")] = None,
    description: Annotated[str, typer.Option()] = "",
    kind: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv or text; default: by the file's name")
    ] = None,
    mode: Annotated[str, typer.Option(help="query: ask each text; detect: look for questions in it")] = "query",
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="NAME=VALUE, may be given again")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="wait for its end and show how far it is")] = False,
    url: Url = None,
) -> None:
    """Submit the texts of a file; prints the id of the task."""
    named = "standard input" if file == "-" else Path(file).name
    asked = {"name": name or named, "description": description, "format": kind or format_of(file)}
    options = {"mode": mode, **dict(map(parse_option, option or []))}
    if file != "-":
        check_readable(Path(file))
    with gateway(url) as client, sys.stdin.buffer if file == "-" else Path(file).open("rb") as content:
        params = {**asked, "options": json.dumps(options)}
        body = iter(partial(content.read, READ), b"")  # a pipe has no length
        task = ask(client, "POST", "/batch/uploads", params=params, content=body)["task_id"]
        print(task, flush=True)
        if follow:
            raise typer.Exit(follow_task(client, task))


def parse_option(text: str) -> tuple[str, Any]:
    """An option of the command line; what is no JSON is a text.

    >>> parse_option("top=3"), parse_option("model=large")
    (('top', 3), ('model', 'large'))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise GatewayError(f"--option {text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def follow_task(client: httpx.Client, name: str) -> int:
    """Show a task until it has ended; gives the exit code."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        shown = bar.add_task(name)
        while True:
            task = ask(client, "GET", f"/batch/tasks/{name}")
            progress = task["progress"]
            done = progress["completed"] + progress["failed"]
            bar.update(shown, completed=done, total=progress["total"], description=task["status"])
            if task["status"] in ENDED:
                break
            time.sleep(0.5)
    if task["error_message"]:
        print(task["error_message"], file=sys.stderr)
    return _code(task)


def _code(task: dict[str, Any]) -> int:
    failed = task["progress"]["failed"] or task["status"] in ("failed", "cancelled")
    return NOT_ALL if failed else 0


@app.command()
def status(task: str, url: Url = None) -> None:
    """Show a task as JSON; exit code 1 if items failed, or it failed or was cancelled."""
    with gateway(url) as client:
        found = ask(client, "GET", f"/batch/tasks/{task}")
    print(json.dumps(found, ensure_ascii=False, indent=2))
    raise typer.Exit(_code(found))


@app.command()
def results(
    task: str,
    kind: Annotated[
        str, typer.Option("--format", help="jsonl, csv or parquet; the last needs the extra parquet at the gateway")
    ] = "jsonl",
    output: Annotated[Path | None, typer.Option(help="a file instead of standard output")] = None,
    url: Url = None,
) -> None:
    """Print the results of a task in the order of its texts, by default one JSON object a line."""
    if kind == "parquet" and output is None and sys.stdout.isatty():
        raise GatewayError("Parquet is nothing to look at: name a file with --output.")
    path, params = f"/api/batch/tasks/{task}/export", {"format": kind}
    with gateway(url) as client, client.stream("GET", path, params=params) as answer:
        if not answer.is_success:
            answer.read()
            raise _refusal(answer)
        with nullcontext(sys.stdout.buffer) if output is None else _opened(output) as file:
            for data in answer.iter_bytes():
                file.write(data)


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("wb")
    except OSError as exc:
        raise ConfigurationError(f"--output {file}: {exc.strerror}.") from exc


@app.command()
def cancel(task: str, url: Url = None) -> None:
    """Cancel a task."""
    with gateway(url) as client:
        print(ask(client, "DELETE", f"/batch/tasks/{task}")["message"])


@app.command("list")
def list_tasks(
    state: Annotated[str | None, typer.Option("--status", help="only these")] = None,
    url: Url = None,
) -> None:
    """Show tasks, newest first."""
    with gateway(url) as client:
        params = {"size": PAGE, **({"status": state} if state else {})}
        found = ask(client, "GET", "/batch/tasks", params=params)
    for task in found["tasks"]:
        progress = task["progress"]
        counts = f"{progress['completed']}+{progress['failed']}/{progress['total']}"
        print(f"{task['task_id']}  {task['created_at']}  {task['status']:<9}  {counts:<14} {task['name']}")
