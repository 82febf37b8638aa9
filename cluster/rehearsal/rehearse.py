"""A rehearsal: hosts out of nothing, `ray up`, real jobs, and nothing left behind.

Needs root on Linux; README.md beside this file says what it does.
"""

import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from cluster.rehearsal import enclosure
from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.scripts.entry import run_script


@dataclass
class Rehearsal:
    """What is rehearsed.

    Attributes:
        hosts: How many, the head among them.
        scenarios: Of phase1, lost_host (after phase1) and checks, in that order.
        out: A folder for onprem.yaml, the logs, the jobs' output and figures.json; empty for none.
        quiet: Do not show what the jobs say.
    """

    hosts: int = 3
    scenarios: list[str] = field(default_factory=lambda: ["phase1", "lost_host", "checks"])
    out: str = ""
    quiet: bool = False


def main() -> None:
    rehearsal = parse_config("rehearse.py", Rehearsal, head=__doc__ or "")
    out = Path(rehearsal.out).absolute() if rehearsal.out else None
    if not enclosure.is_inside():
        enclosure.check_machine()
        if out:
            out.mkdir(parents=True, exist_ok=True)
        sys.exit(enclosure.enclosed(sys.argv))
    enclosure.furnish(out)
    try:
        figures = rehearse(rehearsal)
    finally:
        if out:
            keep(out)
    if out:
        (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def rehearse(rehearsal: Rehearsal) -> dict[str, Any]:
    """Plays the scenarios on a cluster of its own; their figures."""
    # After the namespaces are furnished: what these import keeps files of the new /tmp.
    from cluster.rehearsal import rayup
    from cluster.rehearsal.hosts import Network
    from cluster.rehearsal.scenarios import SCENARIOS, STORE, Stage
    from hhmnet_platform.datasets.builders import prepare_synthetic

    if unknown := [name for name in rehearsal.scenarios if name not in SCENARIOS]:
        raise InputError(f"--scenarios {unknown}: expected some of {', '.join(SCENARIOS)}.")
    say, began = Console().print, time.monotonic()
    figures: dict[str, Any] = {}
    network = Network(rehearsal.hosts)
    network.build()
    say(f"{', '.join(host.name for host in network.hosts)} are up ({_since(began)})")
    prepare_synthetic(str(STORE), clips_per_class=10, stream="none")
    with (enclosure.BASE / "ray.log").open("w", buffering=1) as log:
        started = time.monotonic()
        rayup.ray_up(network, log)
        say(f"`ray up` is done ({_since(started)})")
        with rayup.tunnels(network, log):
            rayup.wait_for_hosts(network)
            say(f"all hosts have joined ({_since(started)})")
            figures["ray_up_seconds"] = time.monotonic() - started
            for name in rehearsal.scenarios:
                before = time.monotonic()
                say(f"\n{name}: {SCENARIOS[name].__doc__}")
                figures[name] = SCENARIOS[name](Stage(network, not rehearsal.quiet))
                say(f"{name} came out as it has to ({_since(before)})")
        before = time.monotonic()
        rayup.ray_down(log)
        say(f"`ray down` is done ({_since(before)})")
    figures["seconds"] = time.monotonic() - began
    return figures


def keep(out: Path) -> None:
    """Copies what tells how it went, the head's logs of Ray too, to a folder of the machine."""
    for file in [*enclosure.BASE.glob("*.log"), *enclosure.BASE.glob("onprem.yaml")]:
        shutil.copy(file, out)


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    run_script(lambda: main)
