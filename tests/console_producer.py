"""Kafka's own console producer, from Maven artefacts of the version that we test with."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from ops.broker.kafka import kafka_version
from pipeline.settings import Settings

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>tools</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


async def fetch_tools() -> Path:
    """Folder with its jars, filled by Maven the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realtime-rag"
    jars = cache / f"kafka-tools-{kafka_version()}"
    if not jars.is_dir():
        filling = cache / f"filling-tools-{os.getpid()}"
        filling.mkdir(parents=True)
        try:
            (filling / "pom.xml").write_text(_POM.format(version=kafka_version()))
            await _run(["mvn", "-q", "-B", "-f", str(filling / "pom.xml"), "dependency:copy-dependencies"], b"")
            (filling / "target" / "dependency").rename(jars)
        finally:
            shutil.rmtree(filling, ignore_errors=True)
    return jars


async def produce(settings: Settings, topic: str, lines: str, *words: str) -> None:
    """Type lines into `kafka-console-producer.sh`."""
    java = ["java", "-cp", f"{await fetch_tools()}/*", "org.apache.kafka.tools.ConsoleProducer"]
    command = [*java, "--bootstrap-server", settings.kafka_bootstrap_servers, "--topic", topic, *words]
    await _run(command, lines.encode())


async def _run(command: list[str], typed: bytes) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    told, _ = await process.communicate(typed)
    assert process.returncode == 0, told.decode(errors="replace")
