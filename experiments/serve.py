"""Serve a trained model over HTTP, with a page, until Ctrl-C.

For example: serve.py --model workspace/runs/NAME
             HHMNET_SERVE_TOKEN=... serve.py --model NAME --host 0.0.0.0
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.serving.server.job import ServeJob
    from hhmnet_platform.serving.server.run import run_serve

    job = parse_config("serve.py", __doc__, ServeJob)
    return lambda: run_serve(job)


if __name__ == "__main__":
    run_script(load)
