"""Trains phase 1: the four skeletal modalities, tied by contrast. Without arguments: a demo."""

from dataclasses import fields

from jsonargparse import ArgumentParser

from hhmnet_platform.scripts import parse, run_script
from hhmnet_platform.startup import process_began
from hhmnet_platform.train import Phase1Job, run_phase


def main() -> None:
    parser = ArgumentParser(prog="phase1.py", description=__doc__)
    parser.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    parser.add_class_arguments(Phase1Job)
    values = parser.instantiate(parse(parser))
    job = Phase1Job(**{field.name: values[field.name] for field in fields(Phase1Job)})
    run_phase(job, began=process_began())


if __name__ == "__main__":
    run_script(main)
