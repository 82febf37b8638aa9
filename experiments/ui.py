"""Open MLflow on the runs of a workspace, until Ctrl-C; with or without a login."""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.storage.pages import Pages, open_pages

    job = parse_config("ui.py", __doc__, Pages)
    return lambda: open_pages(job)


if __name__ == "__main__":
    run_script(load)
