"""What can be known to be wrong before anything starts, each as one line that says what to do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ops.ports import listen
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings


def check_folder(variable: str, folder: Path) -> None:
    """Make the folder if it is missing and write a file into it.

    Raises:
        ConfigurationError: that is not possible; names the variable that holds the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise ConfigurationError(
            f"Cannot write into {variable}={folder} ({exc.strerror}). Choose another {variable} or allow it."
        ) from exc


def check_readable(file: Path) -> None:
    """Raise ConfigurationError when a file that was named cannot be read."""
    try:
        file.open("rb").close()
    except OSError as exc:
        raise ConfigurationError(f"Cannot read {file} ({exc.strerror}).") from exc


def check_kafka_is_named(settings: Settings, command: str) -> None:
    """Refuse to run one process alone without a broker that it could share with the others."""
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError(
            f"`realtime-rag {command}` needs KAFKA_BOOTSTRAP_SERVERS=host:port."
            " `realtime-rag up` starts everything on one machine, `realtime-rag broker` only a broker."
        )


def check_port(settings: Settings) -> None:
    """Raise ConfigurationError when the gateway's port cannot be had."""
    listen(settings.host, settings.port).close()
