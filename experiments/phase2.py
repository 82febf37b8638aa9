"""Trains phase 2: a video network guided by a finished phase-1 run, and fuses the two."""

from dataclasses import fields

from jsonargparse import ArgumentParser

from hhmnet_platform.scripts import parse, run_script
from hhmnet_platform.startup import process_began
from hhmnet_platform.train import Phase2Job, run_phase


def main() -> None:
    parser = ArgumentParser(prog="phase2.py", description=__doc__)
    parser.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    parser.add_class_arguments(Phase2Job)
    values = parser.instantiate(parse(parser))
    job = Phase2Job(**{field.name: values[field.name] for field in fields(Phase2Job)})
    run_phase(job, began=process_began())


if __name__ == "__main__":
    run_script(main)
