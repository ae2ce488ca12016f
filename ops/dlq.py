"""Commands for dead letters: list them, look at one, send them again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ops.dead_letters import Choice, DeadLetterError, Letter, Place, find_letters, get_letters
from ops.log_range import log_reader
from ops.redrive import RefusedError, Resend, find_sent, resend_of, send_again
from ops.surroundings import check_kafka_is_named
from pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Dead letters: records that a stage could not handle.")

Stage = Annotated[str | None, typer.Option(help="only what this stage could not handle")]
Session = Annotated[str | None, typer.Option(help="only of this session")]
Since = Annotated[
    str | None, typer.Option(help="only younger ones: 90s, 30m, 2h, 7d, or a time such as 2026-05-01T12:00")
]
NOT_ALL = 1  # exit code: a letter that was named was not sent
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _run(main: Coroutine[Any, Any, int]) -> None:
    raise typer.Exit(asyncio.run(main))


def _settings(command: str) -> Settings:
    settings = Settings.from_env(os.environ)
    check_kafka_is_named(settings, f"dlq {command}")
    return settings


def parse_since(text: str | None, now: float) -> float:
    """A time in seconds since 1970 from `2h` ago, or from an ISO 8601 time, in UTC where it names no zone.

    >>> parse_since("2h", 10000.0), parse_since("1970-01-01T01:00", 0.0), parse_since(None, 5.0)
    (2800.0, 3600.0, 0.0)

    Raises:
        DeadLetterError: it is neither.
    """
    if text is None:
        return 0.0
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip()):
        return now - float(match[1]) * _UNITS[match[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DeadLetterError(
            f"--since {text!r} is neither a span such as 2h nor a time such as 2026-05-01T12:00."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def printable(text: str) -> str:
    r"""Text that came from anywhere, on one line and without what a terminal obeys.

    >>> printable("für\n\x1b[2J")
    'für \\x1b[2J'
    """
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line)


@app.command("list")
def list_letters(
    stage: Stage = None,
    session: Session = None,
    since: Since = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Show dead letters, oldest first."""
    choice = Choice(stage, session, parse_since(since, time.time()))
    _run(_list(_settings("list"), choice, as_json))


async def _list(settings: Settings, choice: Choice, as_json: bool) -> int:
    async with log_reader(settings) as consumer:
        letters = await find_letters(consumer, settings, choice)
    for letter in letters:
        print(json.dumps(told(letter), ensure_ascii=False) if as_json else _line(letter))
    if not (letters or as_json):
        print("No dead letters.")
    return 0


def told(letter: Letter) -> dict[str, Any]:
    """What `--json` says of a letter."""
    return {
        "place": str(letter.place),
        "time": _moment(letter.time),
        "stage": letter.stage,
        "session": letter.session,
        "question_id": letter.question_id or None,
        "origin": f"{letter.topic}/{letter.origin.partition}/{letter.origin.offset}",
        "attempt": letter.attempt,
        "redrive_of": letter.redrive_of or None,
        "bytes": len(letter.value or b""),
        "error": letter.error,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(letter: Letter) -> str:
    return "  ".join(
        [
            f"{letter.place!s:<8}",
            _moment(letter.time),
            f"{printable(letter.stage):<9}",
            printable(letter.session),
            printable(letter.error)[:120],
        ]
    )


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as `dlq list` shows it")],
    raw: Annotated[bool, typer.Option("--raw", help="nothing but its bytes, as they are")] = False,
) -> None:
    """Show one dead letter: what it was, why it failed, what sending it again would write."""
    _run(_show(_settings("show"), Place.parse(place), raw))


async def _show(settings: Settings, place: Place, raw: bool) -> int:
    async with log_reader(settings) as consumer:
        (letter,) = await get_letters(consumer, settings, [place])
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return 0
    for name, value in told(letter).items():
        print(f"{name:<12} {'' if value is None else printable(str(value))}")
    for name, header in letter.foreign:
        print(f"{'header':<12} {printable(name)}: {printable((header or b'').decode('utf-8', 'replace'))}")
    print(f"{'value':<12} {printable((letter.value or b'').decode('utf-8', 'replace'))}")
    print(f"{'redrive':<12} {_outcome(_judged(letter, settings))}")
    return 0


def _judged(letter: Letter, settings: Settings) -> Resend | str:
    try:
        return resend_of(letter, settings.topic_prefix)
    except RefusedError as exc:
        return str(exc)


def _outcome(judged: Resend | str) -> str:
    if isinstance(judged, str):
        return f"refused: {printable(judged)}"
    return f"to {judged.topic}: {printable(judged.value.decode())}"


@app.command()
def redrive(
    places: Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET, as `dlq list` shows it")] = None,
    every: Annotated[bool, typer.Option("--all", help="all of --stage, --session and --since")] = False,
    stage: Stage = None,
    session: Session = None,
    since: Since = None,
    again: Annotated[bool, typer.Option("--again", help="also what was sent again before")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="write; without it nothing is written, only shown")] = False,
) -> None:
    """Send dead letters again: write what they meant to transcripts. Shows what it would write unless --yes."""
    if bool(places) == every:
        raise DeadLetterError("Name dead letters (PARTITION:OFFSET …), or choose with --all; one of both.")
    if places and (stage or session or since):
        raise DeadLetterError("--stage, --session and --since choose among --all; named letters are taken as they are.")
    named = [Place.parse(place) for place in places or []]
    choice = Choice(stage, session, parse_since(since, time.time()))
    _run(_redrive(_settings("redrive"), named, choice, again=again, write=yes))


async def _redrive(settings: Settings, named: Sequence[Place], choice: Choice, *, again: bool, write: bool) -> int:
    async with log_reader(settings) as consumer:
        letters = await (get_letters(consumer, settings, named) if named else find_letters(consumer, settings, choice))
        plan = {letter: _judged(letter, settings) for letter in letters}
        if not named:
            plan = {letter: _unless_it_acts_at_once(judged) for letter, judged in plan.items()}
        if not again:
            sent = await find_sent(
                consumer, settings, [judged for judged in plan.values() if isinstance(judged, Resend)]
            )
            plan |= {letter: f"{reason}; --again sends it all the same" for letter, reason in sent.items()}
        for letter, judged in plan.items():
            if isinstance(judged, str) or not write:
                print(f"{letter.place!s:<8} {_outcome(judged)}")
        due = [judged for judged in plan.values() if isinstance(judged, Resend)]
        if write:
            async for resend, place in send_again(settings, due):
                print(f"{resend.letter.place!s:<8} sent: {resend.topic} {place}", flush=True)
    refused = f", {len(plan) - len(due)} refused" if len(plan) > len(due) else ""
    print(f"{len(due)} sent{refused}." if write else f"{len(due)} would be sent{refused}; --yes sends them.")
    return NOT_ALL if named and len(due) < len(plan) else 0


def _unless_it_acts_at_once(judged: Resend | str) -> Resend | str:
    if isinstance(judged, Resend) and judged.acts_at_once:
        return "it would act on the session as it is now; name it by its place to send it"
    return judged
