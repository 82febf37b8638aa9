"""Searches: `search.py fusion` for the weights that fuse finished runs, on val."""

from jsonargparse import ArgumentParser

from hhmnet_platform.fusion_search import FusionSearch, run_search
from hhmnet_platform.scripts import parse, run_script


def main() -> None:
    parser = ArgumentParser(prog="search.py", description=__doc__, exit_on_error=False)
    commands = parser.add_subcommands()
    fusion = ArgumentParser(description="Weights that fuse finished runs, by Optuna on val.")
    fusion.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    fusion.add_class_arguments(FusionSearch)
    commands.add_subcommand("fusion", fusion, help="weights of a fusion of finished runs")
    values = parser.instantiate(parse(parser))
    run_search(FusionSearch(**{k: v for k, v in values.fusion.items() if k != "config"}))


if __name__ == "__main__":
    run_script(main)
