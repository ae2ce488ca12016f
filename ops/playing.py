"""`realtime-rag fakes`: the fakes on a port, and what to set so that a service asks them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ops.fakes import FAULTS, SAMPLES, Fakes, Reply, read_script, recording, sample
from ops.fakes.scripts import named_fault
from ops.fakes.server import make_server
from ops.ports import listen
from pipeline.errors import ConfigurationError

ENVIRONMENT = """\
RAG_PROVIDER=openai OPENAI_API_KEY=any OPENAI_BASE_URL={url}
RAG_PROVIDER=dify DIFY_API_KEY=any DIFY_BASE_URL={url}
RAG_PROVIDER=custom CUSTOM_RAG_API_URL={url}/custom
SEARCH_PROVIDER=serper SERPER_API_KEY=any SERPER_BASE_URL={url}"""


async def play(port: int, script: Path | None, faults: Sequence[str], recordings: Sequence[str] = ()) -> int:
    """Serve until interrupted.

    Args:
        port: on the loopback; 0: any free one.
        script: file of `scripts.read_script`.
        faults: the nth call with a question gets the nth; after the last, that one again.
        recordings: names of samples, or files, in the same way, after the faults.

    Raises:
        ConfigurationError: the port is taken, the script cannot be read, or there is no such fault or recording.
    """
    replies = _replies(script, [*map(named_fault, faults), *map(_recorded, recordings)])
    with listen("127.0.0.1", port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(f"fakes on {url}; a service asks them with one of\n{ENVIRONMENT.format(url=url)}")
        print(f"Say fault:NAME in a question for a fault: {', '.join(FAULTS)}")
        print(f"Say sample:NAME for an answer in its vendor's published form: {', '.join(SAMPLES)}", flush=True)
        await make_server(Fakes(replies)).serve([listener])
    return 0


def _recorded(name: str) -> Reply:
    return recording(Path(name)) if Path(name).suffix else sample(name)


def _replies(script: Path | None, every: list[Reply]) -> dict[str, list[Reply]]:
    replies: dict[str, list[Reply]] = {"*": every or [Reply()]}
    if script is None:
        return replies
    try:
        return replies | read_script(json.loads(script.read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"The script {script} cannot be read: {exc}.") from exc
