"""YAML as options and config files hold it."""

import re

import yaml

from hhmnet_core.checks.parsing import check_yaml
from hhmnet_core.passwords import one_line

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
_NUMBER = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|\.[0-9_]+(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads 1e-3 as a number and 2:8 and dates as text. YAML 1.1 reads 2:8 as 128, to base 60."""


_tags = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [each for each in known if each[0] not in _tags]
    for first, known in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))


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
