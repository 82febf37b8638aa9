"""A Ray of several nodes for tests, started by a process of its own.

Where Ray cannot start a node it may end the process, and with it all tests of a pytest worker.

ray_nodes.py: reads a command a line, such as `{"add": {"num_cpus": 2}}`, and answers with a line.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from processes import kill_family

MEMORY = 100 << 20  # bytes of an object store


class RayNodes:
    """A head, and nodes that join it.

    Args:
        log: File for what Ray prints.
        env: Environment of all nodes, beside that of this process.
        head: Settings of the head, as `ray.cluster_utils.Cluster` takes them.
    """

    def __init__(self, log: Path, env: dict[str, str] | None = None, **head: Any) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # Ray's reaper kills its group of processes
            )
        self.address = self._ask({"head": head})

    def add(self, **settings: Any) -> str:
        """Start a node, and wait until it has joined. Returns its id."""
        return self._ask({"add": settings})

    def kill(self, node: str) -> None:
        """Kill a node, and wait until it has left."""
        self._ask({"kill": node})

    def remove(self, node: str) -> None:
        """End a node in order: the head knows at once, and of a killed one after seconds."""
        self._ask({"remove": node})

    def announce_removal(self, node: str, seconds: float) -> None:
        """Announce that a node will be taken away, as a cloud does."""
        deadline = int(1000 * (time.time() + seconds))
        assert self._ask({"drain": [node, deadline]}) == "accepted"

    def stop(self) -> None:
        """Kill all nodes: nothing of them is needed, and Ray takes its time over ending them."""
        kill_family(self._process.pid)
        self._process.communicate(timeout=60)

    def _ask(self, command: dict[str, Any]) -> str:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(f"{json.dumps(command)}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended
        answer = self._process.stdout.readline()
        assert answer, f"Ray's nodes have ended at {command}: {self._log.read_text()}"
        return answer.strip()


def main() -> None:
    from ray._private.utils import get_ray_address_file
    from ray._raylet import GcsClient
    from ray.cluster_utils import Cluster
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason

    # Wherever its session is, a head writes its address into Ray's usual folder.
    Path(get_ray_address_file(None)).parent.mkdir(exist_ok=True)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever Ray prints is no answer
    cluster, nodes = Cluster(), {}
    for line in sys.stdin:
        ((command, given),) = json.loads(line).items()
        if command in ("kill", "remove"):
            cluster.remove_node(nodes.pop(given), allow_graceful=command == "remove")
            cluster.wait_for_nodes()
            print(given, file=answers)
            continue
        if command == "drain":
            reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
            client = GcsClient(address=cluster.address)
            accepted, why = client.drain_node(given[0], reason, "spot", given[1])
            print("accepted" if accepted else why, file=answers)
            continue
        node = cluster.add_node(object_store_memory=MEMORY, **given)
        nodes[node.node_id] = node
        print(cluster.address if command == "head" else node.node_id, file=answers)


if __name__ == "__main__":
    main()
