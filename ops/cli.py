"""The command line: `realtime-rag up | demo | worker | gateway | broker | topics | dlq | questions | fakes | …`."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import load_dotenv

from ops import admin, batch, compare, detector, dlq, ingest, knowledge, providers, replay, results, telemetry, train
from ops.logs import configure_logging
from ops.processes import OPERATOR_ERROR, print_line
from ops.surroundings import check_folder, check_kafka_is_named
from pipeline.errors import BrokerAway, RagError
from pipeline.settings import Settings
from topics.catalog import Lane

_HERE = Path(__file__).resolve().parent
BULK_NICENESS = 10  # on a machine that both lanes share, the CPU is the live lane's first
EXAMPLES = (_HERE if (_HERE / "examples").is_dir() else _HERE.parent) / "examples"  # wheel or checkout

# What a command alone needs is imported in it: a second of start-up for the others otherwise.
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
topics_app = typer.Typer(no_args_is_help=True, help="Topics on the Kafka of KAFKA_BOOTSTRAP_SERVERS.")
app.add_typer(topics_app, name="topics")
app.add_typer(dlq.app, name="dlq")
app.add_typer(detector.app, name="questions")
app.add_typer(train.app, name="train")
app.add_typer(providers.app, name="providers")
app.add_typer(results.app, name="results")
app.add_typer(batch.app, name="batch")
app.command()(ingest.ingest)
app.command()(knowledge.search)
app.command()(replay.replay)
app.command()(compare.compare)


def main() -> None:
    """Run the command line; what a person can mend is one line on stderr and exit code 2."""
    load_dotenv(".env")
    try:
        app()
    except RagError as exc:
        sys.exit(_fail(str(exc)))
    except UnicodeDecodeError as exc:
        sys.exit(_fail(f"A file is not UTF-8 text: {exc}"))


def _fail(message: str) -> int:
    print("realtime-rag: " + " ".join(message.split()), file=sys.stderr, flush=True)
    return OPERATOR_ERROR


def _settings(**changes: Any) -> Settings:
    return dataclasses.replace(Settings.from_env(os.environ), **changes)


def _until_signal(main: Coroutine[Any, Any, int]) -> int:
    """Run to the end, or until SIGINT or SIGTERM has cancelled it and everything was put away; the exit code."""

    async def watched() -> int:
        task = asyncio.ensure_future(main)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, lambda: task.cancelling() or task.cancel())
        try:
            return await task
        except asyncio.CancelledError:
            return 0

    return asyncio.run(watched())


@app.command()
def up() -> None:
    """Everything on one machine: broker (unless KAFKA_BOOTSTRAP_SERVERS), topics, stages, gateway."""
    settings = _settings()
    if settings.knowledge_path == Settings().knowledge_path and not settings.knowledge_path.exists():
        settings = dataclasses.replace(settings, knowledge_path=EXAMPLES / "knowledge")
        print_line(f"KNOWLEDGE_PATH is not set: answering from {settings.knowledge_path}.")
    raise typer.Exit(_until_signal(_up(settings)))


async def _up(settings: Settings) -> int:
    from ops.up import up as started

    async with started(settings) as running:
        print(f"ready: {running.url} (console), {running.ws_url} (WebSocket); {running.broker}", flush=True)
        print_line(f"figures of the workers: {', '.join(page + '/metrics' for page in running.pages)}")
        await running.failure()
    return 0


@app.command()
def demo(
    transcript: Annotated[list[Path] | None, typer.Option(help="a recorded conversation; may be given again")] = None,
    knowledge: Annotated[Path | None, typer.Option(help="folder of documents to answer from")] = None,
    speed: Annotated[float, typer.Option(min=0.1, help="how many times faster than people speak")] = 40.0,
) -> None:
    """Stream recorded conversations through a service that is started for it, and show what comes back."""
    transcripts = transcript or sorted((EXAMPLES / "conversations").iterdir())
    raise typer.Exit(_until_signal(_demo(transcripts, knowledge or EXAMPLES / "knowledge", speed)))


async def _demo(transcripts: list[Path], knowledge: Path, speed: float) -> int:
    from ops.demo import DemoError, run_demos
    from ops.transcripts import TranscriptError
    from ops.up import NotReadyError, up

    log: deque[str] = deque(maxlen=200)
    with tempfile.TemporaryDirectory(prefix="realtime-rag-") as folder:
        settings = _settings(knowledge_path=knowledge, data_path=Path(folder), batch_enabled=False)
        try:
            async with up(settings, free_ports=True, log=log.append) as running:
                print(f"{running.broker} · {running.url} · knowledge: {knowledge}", flush=True)
                return await run_demos(running.ws_url, transcripts, speed=speed)
        except NotReadyError:
            print_line("\n".join(log))
            raise
        except (DemoError, TranscriptError) as exc:
            return _fail(str(exc))


@app.command()
def worker(
    stages: Annotated[list[str], typer.Argument(help="sentences, questions, answers, results: one or more of them")],
    lane: Annotated[Lane | None, typer.Option(help="live traffic, or bulk: batch tasks and replays")] = None,
) -> None:
    """Run stages; start it as often as you like, they share the partitions."""
    settings = _settings(**({"lane": lane} if lane else {}))
    check_kafka_is_named(settings, "worker")
    check_folder("DATA_PATH", settings.data_path)
    configure_logging(settings)
    if settings.lane is Lane.BULK:
        os.nice(BULK_NICENESS)  # before there are threads: each has a niceness of its own
    telemetry.switch_on(os.environ, stages[0] if len(stages) == 1 else "worker")
    asyncio.run(admin.wait_for_topics(settings, print_line))

    from agents.apps import run_worker

    raise typer.Exit(run_worker(stages, settings))


@app.command()
def gateway() -> None:
    """Serve WebSocket, REST and the console page."""
    settings = _settings()
    check_kafka_is_named(settings, "gateway")
    configure_logging(settings)
    telemetry.switch_on(os.environ, "gateway")
    try:
        asyncio.run(admin.check_topics(settings))
    except BrokerAway as exc:  # it serves without: /readyz tells, and chunks are refused with SERVICE_UNAVAILABLE
        print_line(f"{exc} Serving without it until it does.")

    from ops.serve import serve_gateway

    serve_gateway(settings)


@app.command()
def broker(
    kafka: Annotated[
        bool, typer.Option("--kafka", help="a real Apache Kafka (Java, Maven) that keeps its data")
    ] = False,
    port: Annotated[int | None, typer.Option(help="default 9092, or a free one when that is taken")] = None,
) -> None:
    """Run a broker for this machine in the foreground."""
    raise typer.Exit(_until_signal(_broker(kafka, port)))


async def _broker(real: bool, port: int | None) -> int:
    from ops.broker.kafka import ApacheKafka
    from ops.broker.tansu import Tansu, default_port

    local = ApacheKafka(_settings().data_path / "kafka", port or default_port()) if real else Tansu(port)
    async with local:
        embedded = "" if real else " KAFKA_EMBEDDED=true"
        print(f"{local.name} {local.version}: KAFKA_BOOTSTRAP_SERVERS={local.bootstrap_servers}{embedded}", flush=True)
        code = await local.process.ended()
        return _fail(f"{local.name} ended with {code}.")


@topics_app.command("create")
def create_topics(
    partitions: Annotated[int | None, typer.Option(min=1, help="of each topic; default 12, embedded 4")] = None,
) -> None:
    """Create the topics that are missing; KAFKA_REPLICATION copies each."""
    settings = _settings()
    check_kafka_is_named(settings, "topics create")
    created = asyncio.run(admin.create_topics(settings, partitions))
    print("\n".join(f"created {name}" for name in created) or "All topics are there.")


@topics_app.command("check")
def check_topics() -> None:
    """Say whether every topic is there and fits; exit code 2 when not."""
    settings = _settings()
    check_kafka_is_named(settings, "topics check")
    asyncio.run(admin.check_topics(settings))
    print("All topics are there and fit.")


@topics_app.command("list")
def list_topics() -> None:
    """Show the topics of the catalogue and their partitions."""
    settings = _settings()
    check_kafka_is_named(settings, "topics list")
    for state in asyncio.run(admin.topic_states(settings)):
        print(f"{state.name:<32} {state.partitions or 'missing'}")


@app.command()
def index(folder: Annotated[Path | None, typer.Argument(help="default: KNOWLEDGE_PATH")] = None) -> None:
    """Bring the index up to date with a folder of documents."""
    from pipeline.providers import update_knowledge

    settings = _settings(**({"knowledge_path": folder} if folder else {}))
    check_folder("DATA_PATH", settings.data_path)
    report = update_knowledge(settings)
    for skipped in report.skipped:
        print_line(f"skipped {skipped.name}: {skipped.reason}")
    print(
        f"{report.passages} passages from {report.added} added, {report.updated} changed and {report.unchanged} known"
        f" documents, {report.removed} removed, in {report.seconds:.1f} s"
    )


@app.command()
def fakes(
    port: Annotated[int, typer.Option(help="on the loopback; 0: any free one")] = 8010,
    script: Annotated[Path | None, typer.Option(help="JSON that says what is answered to what")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="of every answer; given again: of the next call")] = None,
    recording: Annotated[
        list[str] | None, typer.Option(help="answer with a sample by its name, or a file: .sse, .json, .ndjson")
    ] = None,
) -> None:
    """Serve fakes of OpenAI, Dify, Serper and a custom server, with faults on request."""
    from ops.playing import play

    raise typer.Exit(_until_signal(play(port, script, fault or [], recording or [])))


@app.command()
def settings() -> None:
    """Print every setting as a Markdown table."""
    from ops.reference import settings_table

    print(settings_table())


if __name__ == "__main__":
    main()
