"""A PostgreSQL server of a test's own, behind a password, on a free port of the loopback."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from processes import Starter, free_port

USER, PASSWORD = "hhmnet", "s3cr3t/of+the@test"


def why_not() -> str:
    """Why no server can be started here; "" where one can."""
    if _program("initdb") is None:
        return "needs PostgreSQL: apt-get install postgresql"
    if not (find_spec("psycopg") or find_spec("psycopg2")):
        return "needs a driver of PostgreSQL: pip install 'psycopg[binary]'"
    if os.geteuid() == 0 and not _has_user():
        return "needs the user postgres: PostgreSQL does not run as root"
    return ""


@contextmanager
def postgresql(starter: Starter) -> Iterator[str]:
    """Yield the address `host:port/database` of a server, which ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    password = folder / "password"
    password.write_text(PASSWORD)
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(password, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data, port = folder / "data", free_port()
    made = subprocess.run(
        [
            *as_user, str(_program("initdb")), f"--pgdata={data}", f"--username={USER}",
            "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--locale=C",
            "--encoding=UTF8",
        ],
        capture_output=True,
        text=True,
        cwd="/",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    options = ["-D", data, "-p", port, "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    server = starter.program(*as_user, _program("postgres"), *options, cwd=Path("/"))
    try:
        server.wait_for("ready to accept connections", 60)
        yield f"127.0.0.1:{port}/postgres"
    finally:
        server.popen.send_signal(signal.SIGINT)  # it ends without waiting for its clients
        server.finish(60)
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found and (path := shutil.which(name)):
        found = [Path(path)]
    return found[-1] if found else None


def _has_user() -> bool:
    try:
        return bool(pwd.getpwnam("postgres"))
    except KeyError:
        return False
