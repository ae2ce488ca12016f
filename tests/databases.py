"""A PostgreSQL of the machine's own binaries, with its data in a folder of its own and gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.ports import free_port

HOW_TO_GET_ONE = "Debian: apt-get install postgresql"
MISSING = f"needs PostgreSQL's initdb and postgres ({HOW_TO_GET_ONE})"
UNPRIVILEGED = "nobody"  # PostgreSQL does not run as root


def find_binaries() -> Path | None:
    """Folder with `initdb` and `pg_ctl`; Debian keeps it off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextmanager
def postgres(binaries: Path) -> Iterator[str]:
    """Its address while it runs."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="realtime-rag-pg-") as name:
        folder, user = Path(name), None
        if os.getuid() == 0:
            user = UNPRIVILEGED
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

        def run(command: str, *words: str) -> None:
            told = folder / f"{command}-{words[-1]}.log"
            with told.open("w") as output:
                code = subprocess.call(
                    [binaries / command, "-D", folder / "data", *words],
                    user=user,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                )
            assert code == 0, told.read_text()

        run("initdb", "--username=rag", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
        run("pg_ctl", "-w", "-o", options, "-l", str(folder / "server.log"), "start")
        try:
            yield f"postgresql://rag@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
