"""What a second user of the machine tries: to read the token, the session, and to run a command.

second_user.py PORTS FOLDERS FILES: prints a line for everything that it got. Imports nothing of the
project: the user may not be able to read it.
"""

import json
import os
import socket
import sys
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

JOB = json.dumps({"entrypoint": "id"}).encode()
REQUESTS = (
    ("GET", "/api/version"),
    ("GET", "/api/jobs/"),
    ("POST", "/api/jobs/"),
    ("GET", "/nodes"),
)


def main() -> None:
    ports, folders, files = (json.loads(word) for word in sys.argv[1:4])
    for folder in folders:
        with suppress(OSError):
            print(f"entered {folder}: {sorted(os.listdir(folder))[:3]}")
    for file in files:
        with suppress(OSError):
            print(f"read {file}: {len(Path(file).read_bytes())} bytes")
    for port in ports:
        for method, path in REQUESTS:
            data = JOB if method == "POST" else None
            url = f"http://127.0.0.1:{port}{path}"
            kind = {"Content-Type": "application/json"}
            request = urllib.request.Request(url, data, kind, method=method)
            with suppress(OSError, ValueError, HTTPException):
                answer = urllib.request.urlopen(request, timeout=3).read()
                # The version alone tells nothing, and metrics are for whoever asks.
                if path != "/api/version" and not answer.startswith(b"# HELP"):
                    print(f"{method} {url} answered: {answer[:80]!r}")
        with suppress(OSError):  # a port that serves Python objects to whoever connects
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                connection.settimeout(1)
                greeting = connection.recv(64)
                if b"#CHALLENGE#" not in greeting and greeting.startswith(b"\x80"):
                    print(f"port {port} sends pickles: {greeting[:20]!r}")
    with suppress(ImportError):
        import ray

        for port in ports:
            with suppress(Exception):
                ray.init(address=f"127.0.0.1:{port}", log_to_driver=False, logging_level="CRITICAL")
                print(
                    f"joined Ray at {port}: {ray.get(ray.remote(os.getuid).remote(), timeout=20)}"
                )
                ray.shutdown()


if __name__ == "__main__":
    main()
