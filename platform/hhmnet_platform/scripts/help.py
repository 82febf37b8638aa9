"""The help of a command: its options by what they decide, with their defaults."""

import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import MISSING

from hhmnet_core.passwords import without_password
from hhmnet_platform.scripts.options import Option, Options, placeholder

_COLUMN, _WIDEST = 28, 100
_WHAT = {
    "annotations", "data", "experiment", "index", "init_from", "input", "labels", "layout", "model",
    "phase1", "runs", "source", "store", "stream", "video", "videos",
}  # fmt: skip
_WHERE = {
    "checkpoint_minutes", "cpus_per_worker", "dashboard", "device", "dry_run", "gpu", "host",
    "log_workers", "login", "max_failures", "min_checkpoint_seconds", "modality_parallel", "name",
    "out", "overwrite", "port", "price_per_worker_hour", "processes", "render", "resize_minutes",
    "storage", "system_metrics", "tracking_uri", "workers", "workspace",
}  # fmt: skip
_PHASES = {"phase1", "phase2"}  # groups of a pipeline
_GENERAL = {
    "-h, --help": "This help.",
    "--config FILE": "YAML file with values of any options, up to 1 MB, or the name of a recipe. "
    "Options win over it where they follow it.",
    "--print_config": "Print all values as YAML, check them, and exit.",
}


def help_text(prog: str, options: Options, head: str = "", deed: str = "") -> str:
    """Return the help of a command.

    Args:
        prog: The command.
        options: Its options.
        head: First lines: what it does, and examples.
        deed: Participle of its verb, such as trained.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    general = dict(_GENERAL) if options.has_config else {"-h, --help": _GENERAL["-h, --help"]}
    config = " [--config FILE]" if options.has_config else ""
    lines = [*([head.rstrip(), ""] if head else []), f"usage: {prog}{config} [--OPTION VALUE ...]"]
    titles = (f"What is {deed}", "How", "Where") if deed else ("What", "How", "Where")
    for title, members in zip(titles, _sections(options), strict=True):
        if members:
            entries = {f"--{each.name} {placeholder(each)}": _described(each) for each in members}
            lines += ["", f"{title}:", *_table(entries, width)]
    lines += ["", "General:", *_table(general, width)]
    return "\n".join(lines)


def _sections(options: Options) -> tuple[list[Option], list[Option], list[Option]]:
    """Return the options that decide what the command works on, how, and where."""
    what, how, where = [], [], []
    for option in options.by_name.values():
        top, _, below = option.name.partition(".")
        if top in _PHASES and below:
            top = below.partition(".")[0]
        if top in _WHAT:
            what.append(option)
        elif top in _WHERE and not below:
            where.append(option)
        else:
            how.append(option)
    return what, how, where


def _described(option: Option) -> str:
    """Return the help of an option, with its default where the text does not tell it."""
    default = option.default
    if default is MISSING:
        return f"{option.text} Required."
    if "Default" in option.text or default is None or default in ("", [], {}):
        return option.text
    if isinstance(default, list):
        shown = " ".join(str(list(each) if isinstance(each, tuple) else each) for each in default)
    else:
        shown = str(default).lower() if isinstance(default, bool) else str(default)
    return without_password(f"{option.text} Default: {shown}.")


def _table(entries: dict[str, str], width: int) -> Iterable[str]:
    for name, text in entries.items():
        wrapped = textwrap.wrap(text, max(width - _COLUMN, 30), break_on_hyphens=False) or [""]
        if len(name) + 4 <= _COLUMN:
            yield f"  {name:<{_COLUMN - 4}}  {wrapped.pop(0)}"
        else:
            yield f"  {name}"
        yield from (f"{'':<{_COLUMN}}{line}" for line in wrapped)
