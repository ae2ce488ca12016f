"""A real Apache Kafka on this machine: one KRaft broker in one JVM, from Maven artefacts, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import uuid
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

from ops.broker.process import LocalBroker
from ops.ports import free_port
from pipeline.errors import BrokerError

HOW_TO_GET_ONE = (
    "set KAFKA_BOOTSTRAP_SERVERS, start Docker, or install Java 17 and Maven"
    " (Debian: apt-get install default-jre-headless maven)"
)
_POM = resources.files("ops.broker").joinpath("pom.xml")

# One node is broker and controller. No waiting for more group members; topics only by our catalogue; a short session of
# the node, because a restarted broker serves nobody until that of its killed predecessor has ended.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
"""


def kafka_version() -> str:
    """Version of the broker that the pom names.

    >>> kafka_version().startswith("4.1")
    True
    """
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = ElementTree.fromstring(_POM.read_text()).findall(".//m:dependency/m:version", names)
    return versions[0].text or ""


def can_run() -> bool:
    """Whether Java and Maven are there."""
    return shutil.which("java") is not None and shutil.which("mvn") is not None


class ApacheKafka(LocalBroker):
    """A broker whose records survive `kill` and `start`, in `folder`."""

    name = "Apache Kafka"
    is_real = True

    def __init__(self, folder: Path, port: int | None = None, heap: str = "384m") -> None:
        super().__init__(port or free_port())
        self.version = kafka_version()
        self.folder = folder.resolve()
        self.heap = heap
        self._controller = free_port()

    async def prepare(self) -> list[str]:
        """Copy the jars (once a machine) and format the storage (once a folder)."""
        jars = await fetch_jars()
        java = ["java", f"-Xms{self.heap}", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        java += ["-Dlog4j2.level=WARN", "-cp", f"{jars}/*"]
        config = self.folder / "server.properties"
        if not config.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            data = self.folder / "log"
            draft = config.with_suffix(".draft")  # the real name says that the storage is formatted
            draft.write_text(_PROPERTIES.format(port=self.port, controller=self._controller, data=data))
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            await _run([*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(draft)])
            draft.rename(config)
        return [*java, "kafka.Kafka", str(config)]


async def fetch_jars() -> Path:
    """Folder with the broker's jars, filled by Maven the first time.

    Raises:
        BrokerError: no Java, no Maven, or Maven could not fetch them.
    """
    if not can_run():
        raise BrokerError(f"No Java with Maven here. For a real Kafka {HOW_TO_GET_ONE}.")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realtime-rag"
    jars = cache / f"kafka-{kafka_version()}"
    if not jars.is_dir():
        filling = cache / f"filling-{os.getpid()}"
        try:
            filling.mkdir(parents=True, exist_ok=True)
            (filling / "pom.xml").write_text(_POM.read_text())
            await _run(["mvn", "-q", "-B", "-f", str(filling / "pom.xml"), "dependency:copy-dependencies"])
            _move_over(filling / "target" / "dependency", jars)
        finally:
            shutil.rmtree(filling, ignore_errors=True)
    return jars


def _move_over(source: Path, target: Path) -> None:
    """Put a whole folder in place at once; another process may have done it first."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        last = " / ".join(output.decode(errors="replace").strip().splitlines()[-3:])
        raise BrokerError(f"`{command[0]}` could not prepare Apache Kafka: {last}")
