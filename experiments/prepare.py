"""Makes a clip store of a data set. The same command again does nothing, and says so."""

from collections.abc import Callable

from jsonargparse import ArgumentParser
from rich.console import Console

from hhmnet_platform.prepare import (
    Prepared,
    prepare_ntu,
    prepare_nw_ucla,
    prepare_synthetic,
    show,
)
from hhmnet_platform.scripts import parse, run_script

DATA_SETS: dict[str, Callable[..., Prepared]] = {
    "ntu": prepare_ntu,
    "nw_ucla": prepare_nw_ucla,
    "synthetic": prepare_synthetic,
}


def main() -> None:
    parser = ArgumentParser(prog="prepare.py", description=__doc__, exit_on_error=False)
    commands = parser.add_subcommands(dest="data_set", title="data sets")
    for name, prepare in DATA_SETS.items():
        about = (prepare.__doc__ or "").splitlines()[0]
        command = ArgumentParser(description=about)
        command.add_function_arguments(prepare, as_group=False)
        commands.add_subcommand(name, command, help=about)
    values = parse(parser)
    prepared = DATA_SETS[values.data_set](**values[values.data_set].as_dict())
    show(prepared, Console())


if __name__ == "__main__":
    run_script(main)
