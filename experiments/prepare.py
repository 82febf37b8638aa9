"""Make a clip store of a data set, verify a store, or describe its content.

A complete store is not built again. After an interruption the same command continues.
"""

from collections.abc import Callable

from jsonargparse import ArgumentParser
from rich.console import Console

from hhmnet_platform.cli import parse_args, run_script
from hhmnet_platform.datasets.builders import (
    prepare_ntu,
    prepare_nw_ucla,
    prepare_own,
    prepare_synthetic,
    prepare_utd_mhad,
)
from hhmnet_platform.datasets.describe import describe, verify
from hhmnet_platform.datasets.prepare import Prepared, print_prepared

COMMANDS: dict[str, Callable[..., Prepared | None]] = {
    "ntu": prepare_ntu,
    "nw_ucla": prepare_nw_ucla,
    "utd_mhad": prepare_utd_mhad,
    "own": prepare_own,
    "synthetic": prepare_synthetic,
    "verify": verify,
    "describe": describe,
}


def main() -> None:
    parser = ArgumentParser(prog="prepare.py", description=__doc__, exit_on_error=False)
    commands = parser.add_subcommands(dest="command", title="data sets and stores")
    for name, function in COMMANDS.items():
        summary = (function.__doc__ or "").splitlines()[0]
        command = ArgumentParser(description=summary)
        command.add_function_arguments(function, as_group=False)
        commands.add_subcommand(name, command, help=summary)
    values = parser.instantiate(parse_args(parser))
    prepared = COMMANDS[values.command](**vars(values[values.command]))
    if prepared:
        print_prepared(prepared, Console())


if __name__ == "__main__":
    run_script(main)
