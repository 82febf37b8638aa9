"""Skeleton layouts by name, or from a YAML file."""

import yaml

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.skeleton.own_layout import parse_layout
from hhmnet_platform.scripts.yaml_files import load_yaml


def load_layout(name: str) -> Layout:
    """Return a built-in layout by its name, or read one from a YAML file."""
    if not name.lower().endswith((".yaml", ".yml")):
        return get_layout(name)
    fields = read_yaml(name, "layout")
    if fields is None:
        raise InputError(f"{name} is empty: expected a layout as in docs/data.md.")
    return parse_layout(fields, name)


def read_yaml(uri: str, kind: str) -> object:
    """Return the value of a user's YAML file.

    Args:
        uri: Path or URI of the file.
        kind: Description of its content for messages, such as "layout".

    Raises:
        InputError: No such file, or one that is not YAML.
    """
    folder, file = split_uri(uri)
    try:
        content = folder.read(file, TEXT_EXPANSION)
        return load_yaml(content.decode())
    except FileNotFoundError as error:
        raise InputError(f"There is no {kind} at {uri}: expected a YAML file.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{uri} is not YAML ({str(error)[:200]}).") from error
