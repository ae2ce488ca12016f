"""Keys stay where they are: in no record, no log, no message and on no page, whatever a provider says of them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ops.fakes import Fakes, Reply, serving
from ops.ports import free_port
from pipeline.settings import Settings
from tests.client import until_ready
from tests.workers import running, working
from topics.catalog import topic_names

pytestmark = pytest.mark.integration

KEYS = {
    f"{name}_API_KEY": f"sk-{name.lower()}-5ecret" for name in ("OPENAI", "CONTEXT", "DIFY", "CUSTOM_RAG", "SERPER")
}
GATEWAY_KEY = "gw-5ecret"
ECHO = "you sent " + " ".join(KEYS.values())
REPLIES = {
    "refused": Reply(status=401, message=ECHO),
    "limited": Reply(status=429, message=ECHO),
    "broken": Reply(status=500, message=ECHO),
    "unfit": Reply(status=400, message=ECHO),
    "halfway": Reply(error_after=2, error={"message": ECHO, "code": "invalid_param"}),
    "explode": Reply(status=400, message=ECHO),
    "garbled": Reply(content_type=f"text/{KEYS['DIFY_API_KEY']}"),
}
# Somebody else's provider, which is careless with what it knows.
LEAKY = """
from pipeline.providers import End, Provider, ProviderError

class Leaky(Provider):
    name = "leaky"

    def __init__(self, settings):
        self.key = settings.openai_api_key

    async def stream(self, asked):
        if "explode" in asked.text:
            raise RuntimeError(f"Illegal header value b'Bearer {self.key}'")
        raise ProviderError(f"401 for {self.key}")
        yield End()
"""


async def test_no_key_is_in_a_record_a_log_a_message_or_on_a_page(kafka_settings: Settings, tmp_path: Path) -> None:
    settings = dataclasses.replace(
        kafka_settings, stage_port=free_port(), debug=True, api_keys=GATEWAY_KEY, provider_breaker_failures=0
    )
    async with (
        serving(Fakes({key: [reply] for key, reply in REPLIES.items()})) as url,
        working(settings, "sentences", "questions", "answers", environ=environment(url, tmp_path)) as worker,
        running(settings, "gateway", environ=environment(url, tmp_path)) as gateway,
        httpx.AsyncClient(headers={"authorization": f"Bearer {GATEWAY_KEY}"}, timeout=60) as http,
    ):
        at = f"http://127.0.0.1:{settings.port}"
        await until_ready(settings)
        asked = [{"question": f"is it {key}"} for key in REPLIES]
        told = await asyncio.gather(*(http.post(f"{at}/api/ask", json=question) for question in asked))
        said = [answer.text for answer in told]
        pages = [f"{at}{path}" for path in ("/health", "/readyz", "/metrics", "/openapi.json")]
        pages += [f"http://127.0.0.1:{settings.stage_port}{path}" for path in ("/health", "/metrics")]
        said += [(await http.get(page)).text for page in pages]
        records = await everything(settings)
        logs = [process.log.read_text() for process in (worker, gateway)]
    assert ["RAG_ERROR" in text for text in said[: len(asked)]] == [True] * 6 + [False]  # search minds no content type
    assert "leaky failed as it should not: RuntimeError: Illegal header value b'Bearer ***'" in records + logs[0]
    assert "answered 500: you sent ***" in records  # a server's words are passed on, but for its key
    secret = [*KEYS.values(), GATEWAY_KEY]
    found = [(key, text) for text in (*said, *logs, records) for key in secret if key in text]
    assert found == []


def environment(url: str, folder: Path) -> Mapping[str, str]:
    """Every provider at one server, and the careless one installed beside us."""
    (folder / "leaky.py").write_text(LEAKY)
    about = folder / "leaky-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[realtime_rag.providers]\nleaky = leaky:Leaky\n")
    bases = {f"{name}_BASE_URL": url for name in ("OPENAI", "CONTEXT", "DIFY", "SERPER")}
    chain = {"RAG_PROVIDER": "dify,openai,context,custom,serper,leaky", "CUSTOM_RAG_API_URL": f"{url}/custom"}
    return {**KEYS, **bases, **chain, "PYTHONPATH": str(folder)}


async def everything(settings: Settings) -> str:
    """Keys, values and headers of all records of all topics."""
    async with AIOKafkaConsumer(**settings.kafka_client(), auto_offset_reset="earliest") as consumer:
        names = topic_names(settings.topic_prefix)
        known = {name: await consumer._client._wait_on_metadata(name) for name in names}
        parts = [TopicPartition(name, number) for name, numbers in known.items() for number in numbers]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        told = []
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                told += [repr((raw.topic, raw.key, raw.value, raw.headers)) for raw in batch]
    return "\n".join(told)
