"""One side in a process of its own, so that its CPU time can be told from everything else's.

Run: python -m bench.worker ours|bare LAYOUT, with the settings in the environment; until SIGTERM. The configuration of
its clients, as aiokafka holds it, is left in DATA_PATH/configuration.json.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench import bare, staged
from bench.layouts import LAYOUTS
from pipeline.settings import Settings

SIDES = ("bare", "ours")
CONFIGURATION = "configuration.json"

_CONSUMER = (
    *("fetch_max_wait_ms", "fetch_min_bytes", "fetch_max_bytes", "max_partition_fetch_bytes", "max_poll_records"),
    *("check_crcs", "isolation_level", "enable_auto_commit", "session_timeout_ms", "heartbeat_interval_ms"),
)


def configuration(consumer: Any, producer: Any, commit_interval: float) -> dict[str, Any]:
    """What a pair of aiokafka clients really runs with, whoever has made them."""
    accumulator = producer._message_accumulator
    return {
        "consumer": {name: getattr(consumer, f"_{name}") for name in _CONSUMER},
        "producer": {
            "acks": producer._sender._acks,
            "idempotent": producer._txn_manager is not None,
            "linger_ms": accumulator._linger_time * 1000,
            "max_batch_size": accumulator._batch_size,
            "compression": producer._compression_type,
            "max_request_size": producer._max_request_size,
        },
        "commit_interval": commit_interval,
        "event_loops": {
            "consumer": type(consumer._client._loop).__module__.split(".")[0],
            "producer": type(producer.client._loop).__module__.split(".")[0],
        },
    }


def _leave(described: dict[str, Any], folder: Path) -> None:
    (folder / CONFIGURATION).write_bytes(msgspec.json.encode(described))


async def run(side: str, layout: str, settings: Settings) -> None:
    """Work until SIGTERM or until something fails."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    steps, interval, folder = LAYOUTS[layout], settings.commit_interval, settings.data_path
    if side == "bare":
        hops = await bare.start(steps, settings)
        _leave(configuration(hops[0].consumer, hops[0].producer, interval), folder)
        work = asyncio.gather(*(hop.run() for hop in hops))
        ended = [hop.stop for hop in hops]
    else:
        apps = await staged.start(steps, settings)
        consumer = apps[0].consumer._thread._ensure_consumer()
        _leave(configuration(consumer, apps[0].producer.raw, apps[0].conf.broker_commit_interval), folder)
        work = asyncio.gather(*(_until_crashed(app) for app in apps))
        ended = [app.stop for app in apps]
    try:
        await work
    except asyncio.CancelledError:
        pass
    finally:
        await asyncio.gather(*(end() for end in ended))


async def _until_crashed(app: Any) -> None:
    while not app.should_stop:
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{app.conf.id} crashed: {app.crash_reason!r}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(run(sys.argv[1], sys.argv[2], Settings.from_env(os.environ)))
