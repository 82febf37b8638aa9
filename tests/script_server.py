"""Runs scripts in forks of itself, so that their imports are paid for once.

To import torch, Ray and MLflow takes longer than most of what the tests ask of a script. A fork is
a process of its own: `__main__`, signals, exit code and exit handlers are those of `python script`.

A request is a line of JSON on stdin. The answer is the process id on stdout; the exit code follows
in the file `<process id>.exit` of the folder that was given as argument.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import sys
from pathlib import Path
from typing import Any


def import_packages() -> None:
    """Import what the scripts of `experiments/` import once they run."""
    import hhmnet_platform
    from hhmnet_platform.cluster.ray_environment import set_ray_defaults

    set_ray_defaults()  # Ray reads them when it is imported
    for module in pkgutil.walk_packages(hhmnet_platform.__path__, "hhmnet_platform."):
        importlib.import_module(module.name)


def note_exits(folder: Path) -> None:
    """Write the exit code of every fork that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        written = folder / f"{pid}.new"
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(folder / f"{pid}.exit")


def run(request: dict[str, Any]) -> None:
    """Become the process that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for output in (1, 2):
        os.dup2(log, output)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["arguments"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


def main() -> None:
    folder = Path(sys.argv[1])
    import_packages()
    gc.freeze()  # the forks need not look at what was imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: note_exits(folder))
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
        else:
            return run(json.loads(line))


if __name__ == "__main__":
    main()
