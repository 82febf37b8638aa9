"""Make a clip store of a data set, verify a store, or describe its content.

A complete store is not built again. After an interruption the same command continues.
"""

from __future__ import annotations

from hhmnet_platform.scripts.entry import TYPE_CHECKING, run_script

if TYPE_CHECKING:
    from collections.abc import Callable

    from hhmnet_platform.datasets.prepare import Prepared


def commands() -> dict[str, Callable[..., Prepared | None]]:
    """Return the function of each subcommand."""
    from hhmnet_platform.datasets import builders, field_builders, pose_builder
    from hhmnet_platform.datasets.describe import describe, verify

    return {
        "ntu": builders.prepare_ntu,
        "nw_ucla": builders.prepare_nw_ucla,
        "utd_mhad": builders.prepare_utd_mhad,
        "own": builders.prepare_own,
        "poses": pose_builder.prepare_poses,
        "pyskl": field_builders.prepare_pyskl,
        "ctr_gcn": field_builders.prepare_ctr_gcn,
        "synthetic": builders.prepare_synthetic,
        "verify": verify,
        "describe": describe,
    }


def load() -> Callable[[], object]:
    from jsonargparse import ArgumentParser
    from rich.console import Console

    from hhmnet_platform.datasets.prepare import print_prepared
    from hhmnet_platform.scripts.cli import parse_args

    functions = commands()
    parser = ArgumentParser(
        prog="prepare.py", description=__doc__, exit_on_error=False, allow_abbrev=False
    )
    subcommands = parser.add_subcommands(dest="command", title="data sets and stores")
    for name, function in functions.items():
        summary = (function.__doc__ or "").splitlines()[0]
        command = ArgumentParser(description=summary)
        command.add_function_arguments(function, as_group=False)
        subcommands.add_subcommand(name, command, help=summary)
    values = parser.instantiate(parse_args(parser))

    def run() -> None:
        prepared = functions[values.command](**vars(values[values.command]))
        if prepared:
            print_prepared(prepared, Console(markup=False, emoji=False))

    return run


if __name__ == "__main__":
    run_script(load)
