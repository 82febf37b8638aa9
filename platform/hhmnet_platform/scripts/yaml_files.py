"""YAML as options and config files hold it."""

import re

import yaml

from hhmnet_core.checks.parsing import check_yaml
from hhmnet_core.passwords import one_line

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_NUMBER = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
    r"|\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)
# Hexadecimal, binary, octal (010), with underscores, and to base 60 (1:30).
_NUMBER_OF_YAML = re.compile(
    r"[-+]?(?:0x[0-9a-fA-F_]+|0[bo]?[0-7_]+|[0-9][0-9_]*_[0-9_.eE+-]*|[0-9]*\.[0-9_]*_[0-9_eE+-]*"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads plain decimal numbers, such as 1e-3; 0x10, 010, 1_000, 2:8 and dates are text.

    YAML 1.1 reads 010 as 8 and 2:8 as 128, to base 60.
    """


_tags = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [each for each in known if each[0] not in _tags]
    for first, known in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))


def is_number_of_yaml(value: object) -> bool:
    """Return whether YAML 1.1 reads a text as a number that is not written in plain decimals."""
    return isinstance(value, str) and bool(_NUMBER_OF_YAML.fullmatch(value.strip()))


def load_yaml(text: str) -> object:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: Not YAML, or refused by `check_yaml`.
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        raise
    except Exception as error:  # a tag whose text does not fit; they have no common base
        raise yaml.YAMLError(one_line(error)) from error
