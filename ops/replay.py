"""Command that has a range of the live transcripts answered again, as a batch task."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.batch import Url, ask, follow_task, gateway, parse_option


def replay(
    session: Annotated[str | None, typer.Option(help="only of this one")] = None,
    since: Annotated[str | None, typer.Option("--from", help="record time, such as 2026-05-01T12:00 (UTC)")] = None,
    until: Annotated[str | None, typer.Option("--to", help="record time that is not part of it any more")] = None,
    offsets: Annotated[str | None, typer.Option(help="PARTITION:FIRST-LAST of the live transcripts")] = None,
    provider: Annotated[str | None, typer.Option(help="who answers, instead of RAG_PROVIDER")] = None,
    profile: Annotated[str | None, typer.Option(help="who may ask and how sure to be: strict, …")] = None,
    detector: Annotated[str | None, typer.Option(help="what hears: linear, onnx or cascade; or a profile")] = None,
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="NAME=VALUE, may be given again")] = None,
    rate: Annotated[float | None, typer.Option(help="records a second; default: as fast as it goes")] = None,
    run: Annotated[str | None, typer.Option(help="name of the run; default: of the time")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would be")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="wait for its end and show how far it is")] = False,
    url: Url = None,
) -> None:
    """Answer a part of the live transcripts again, apart from them; says what it is, then prints the run."""
    asked: dict[str, Any] = {
        "session": session,
        "from": since,
        "to": until,
        "offsets": offsets,
        "rate": rate,
        "run": run,
    }
    asked |= {
        "provider": provider,
        "profile": profile,
        "detector": detector,
        "options": dict(map(parse_option, option or [])),
    }
    body = {name: value for name, value in asked.items() if value is not None}
    with gateway(url) as client:
        plan = ask(client, "POST", "/replays", json=body | {"dry_run": True})
        typer.echo(told(plan), err=not dry_run)
        if dry_run:
            return
        task = ask(client, "POST", "/replays", json=body)["task_id"]
        print(task, flush=True)
        if follow:
            raise typer.Exit(follow_task(client, task))


def told(plan: dict[str, str | int]) -> str:
    """A plan in words.

    >>> counts = {"records": 12, "sessions": 2, "final_chunks": 8, "questions": 3, "left_out": 1, "unreadable": 0}
    >>> told({**counts, "range": "session a", "provider": "openai", "provider_calls": 3})
    '12 records of 2 sessions (session a), 8 final chunks, about 3 questions: 3 calls of openai; left out: 1 commands'
    """
    text = (
        f"{plan['records']} records of {plan['sessions']} sessions ({plan['range']}), {plan['final_chunks']} final "
        f"chunks, about {plan['questions']} questions: {plan['provider_calls']} calls of {plan['provider']}"
    )
    words = {"left_out": "commands", "unreadable": "records that nobody can read"}
    left = ", ".join(f"{plan[name]} {noun}" for name, noun in words.items() if plan[name])
    return f"{text}; left out: {left}" if left else text
