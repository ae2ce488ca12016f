"""What the provider layer costs: our `openai` provider against a bare httpx stream of the same fake, in one run.

Run: python -m bench.providers [--rounds N]

The bare side does what a script of ten lines would: POST, lines, JSON, the text. Ours adds deadlines, the errors of our
tree, breaker, limits, budget and usage. The fake is a process of its own; both sides keep their connections; who comes
first changes from round to round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from statistics import median

import httpx
import orjson
import uvloop

from bench.report import machine
from ops.ports import free_port
from pipeline.providers import Asked, Delta, Provider, build_provider
from pipeline.settings import Settings

PIECES, SHORT = 5000, 60  # pieces of a long answer; short answers a round
TEXT = {"replies": {"long": [{"pieces": ["word "] * PIECES}], "short": [{"text": "Five working days."}]}}
Stream = Callable[[str], AsyncIterator[str]]


def bare(client: httpx.AsyncClient, url: str) -> Stream:
    """Ten lines of httpx."""

    async def stream(question: str) -> AsyncIterator[str]:
        said = [{"role": "system", "content": "Answer."}, {"role": "user", "content": question}]
        body = {"model": "m", "messages": said, "stream": True, "stream_options": {"include_usage": True}}
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = orjson.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield text

    return stream


def ours(provider: Provider) -> Stream:
    """What the answers stage asks."""

    async def stream(question: str) -> AsyncIterator[str]:
        async with aclosing(provider.stream(Asked(question, lang="en"))) as items:
            async for item in items:
                if isinstance(item, Delta):
                    yield item.text

    return stream


async def first_piece(stream: Stream) -> float:
    """Milliseconds to the first piece, the median of some short answers."""
    taken = []
    for _ in range(SHORT):
        began, first = time.perf_counter(), 0.0
        async for _ in stream("short"):
            first = first or time.perf_counter() - began
        taken.append(first * 1000)
    return median(taken)


async def pieces(stream: Stream) -> tuple[float, float]:
    """Microseconds of CPU and of waiting for each piece of a long answer."""
    began, used, count = time.perf_counter(), time.process_time(), 0
    async for _ in stream("long"):
        count += 1
    if count != PIECES:
        raise RuntimeError(f"{count} of {PIECES} pieces came")
    return (time.process_time() - used) / count * 1e6, (time.perf_counter() - began) / count * 1e6


@asynccontextmanager
async def fake() -> AsyncIterator[str]:
    """The fakes as a process of their own."""
    port = free_port()
    command = [sys.executable, "-m", "ops.cli", "fakes", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        await _until_open(port)
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.put(f"{url}/script", json=TEXT)).raise_for_status()
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _until_open(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            await asyncio.sleep(0.05)


async def main(rounds: int) -> None:
    """Measure and print."""
    figures: dict[str, dict[str, list[float]]] = {}
    async with fake() as url, httpx.AsyncClient(trust_env=False) as client:
        provider = build_provider(Settings(rag_provider="openai", openai_api_key="k", openai_base_url=url))
        sides = {"bare": bare(client, url), "ours": ours(provider)}
        for number in range(rounds + 1):  # the first one warms both up
            for side in sides if number % 2 else reversed(sides):
                measured = await _round(sides[side])
                for name, value in measured.items() if number else ():
                    figures.setdefault(name, {}).setdefault(side, []).append(value)
        await provider.aclose()
    print(" · ".join(str(value) for value in machine().values()))
    for name, measured_of in figures.items():
        low, high = median(measured_of["bare"]), median(measured_of["ours"])
        print(f"{name:32} bare {low:8.2f}   ours {high:8.2f}   {high / low:.2f}x")
    print(json.dumps({"rounds": rounds, "pieces": PIECES, "figures": figures}))


async def _round(stream: Stream) -> dict[str, float]:
    cpu, wall = await pieces(stream)
    return {"first piece, ms": await first_piece(stream), "a piece, wall, µs": wall, "a piece, CPU, µs": cpu}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.providers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    uvloop.run(main(parser.parse_args().rounds))
