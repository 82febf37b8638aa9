"""A design: the variants, benches, seeds and threshold of a comparison, as a YAML file gives them.

```yaml
reference: today
threshold: {errors: 2, pairs: 16}
seeds: [1, 2, 3, 4, 5, 6, 7, 8]
modalities: [joint]
benches:
  - {protocol: 1-2}
  - {store: data/utd, folds: 4, config: {data.frames: 64}}
variants:
  today: {}
  no re-ranking: {model.rerank: false}
```
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.store.protocols import fold_selection
from hhmnet_platform.ablation.tables import Threshold
from hhmnet_platform.datasets.layouts import read_yaml
from hhmnet_platform.overrides import check_known
from hhmnet_platform.scripts.recipes import find_recipe

# What benches and seeds set, and what has no effect here.
_NOT_CHANGED = ("data.store", "data.protocol", "data.selection", "seed", "init_from")


@dataclass(frozen=True)
class BenchDesign:
    """Data on which every variant is trained.

    Attributes:
        store: URI of the clip store. Default: --data.store.
        protocol: Protocol of the store. Default: --data.protocol.
        selection: Selection, such as fold-2-of-5. Default: --data.selection.
        folds: Number of folds of the training subjects, each a bench of its own. 0: `selection`.
        steps: Number of training steps, to the nearest whole epoch. 0: --optim.epochs.
        seeds: Random seeds. Default: those of the design.
        name: Name of the bench. Default: its data set, protocol and fold.
        config: Fields of the config that differ on these data, by dotted name.
    """

    store: str = ""
    protocol: str = ""
    selection: str = ""
    folds: int = 0
    steps: int = 0
    seeds: list[int] = field(default_factory=list)
    name: str = ""
    config: dict[str, object] = field(default_factory=dict)

    def by_fold(self) -> list["BenchDesign"]:
        """Return a bench for each fold, or the bench itself without folds."""
        if not self.folds:
            return [self]
        plain = {f.name: getattr(self, f.name) for f in fields(self)} | {"folds": 0}
        return [
            BenchDesign(
                **plain
                | {
                    "selection": fold_selection(fold, self.folds),
                    "name": self.name and f"{self.name} {fold_selection(fold, self.folds)}",
                }
            )
            for fold in range(1, self.folds + 1)
        ]


@dataclass(frozen=True)
class Design:
    """A comparison of variants.

    Attributes:
        variants: Fields of the config that differ, by variant and dotted name. Empty: the built-in
            variants.
        reference: Variant that the others are compared to. Default: the first.
        threshold: Difference that decides. None: a plain table without decisions.
        seeds: Random seeds.
        modalities: Modalities that are trained together. Empty: all four.
        benches: Data. Empty: those of the options.
    """

    variants: dict[str, dict[str, object]] = field(default_factory=dict)
    reference: str = ""
    threshold: Threshold | None = None
    seeds: list[int] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    benches: list[BenchDesign] = field(default_factory=list)


def read_design(uri: str) -> Design:
    """Return the design in a YAML file, or in the recipe of this name.

    Without `threshold` it has the default one; `threshold: null` asks for none.

    Raises InputError for no such file, a key that is unknown or a value that cannot be used.
    """
    if "/" not in uri:
        uri = str(find_recipe(uri, "design of an ablation"))
    values = _mapping(read_yaml(uri, "design of an ablation"), uri)
    _check_keys(values, Design, uri)
    variants = _mapping(values.get("variants"), f"variants in {uri}")
    for name, changes in variants.items():
        _check_text(name, "variant", uri)
        _check_changes(changes, f"Variant {name!r} in {uri}")
    threshold = values.get("threshold", {})
    if threshold is not None:
        _check_keys(_mapping(threshold, f"threshold in {uri}"), Threshold, f"threshold in {uri}")
    filled = values | {
        "variants": {name: changes or {} for name, changes in variants.items()},
        "threshold": threshold,
        "benches": [],
    }
    benches = parse_benches(values.get("benches") or [], uri)
    try:
        design = from_json(Design, {key: each for key, each in filled.items() if each is not None})
    except InputError as error:
        raise InputError(f"{uri}: {error}") from error
    return Design(**vars(design) | {"benches": benches})


def parse_benches(given: object, where: str) -> list[BenchDesign]:
    """Return benches as YAML gives them, one for each fold.

    Args:
        given: List of mappings of the fields of `BenchDesign`.
        where: File or option, for messages.

    Raises InputError for an unknown key or a value that cannot be used.
    """
    if not isinstance(given, list):
        raise InputError(f"benches of {where} are {str(given)[:80]!r}, expected a list.")
    benches = []
    for number, values in enumerate(given, start=1):
        what = f"Bench {number} of {where}"
        _check_keys(_mapping(values, what), BenchDesign, what)
        _check_changes(values.get("config"), what)
        try:
            bench = from_json(BenchDesign, values)
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        if bench.name:
            _check_text(bench.name, "bench", where)
        if bench.folds and (bench.selection or not 2 <= bench.folds <= 1000):
            raise InputError(
                f"{what} has folds {bench.folds} and selection {bench.selection!r}: give 2 folds "
                "or more, or one selection such as fold-1-of-4."
            )
        if bench.steps < 0:
            raise InputError(f"{what} has steps {bench.steps}: expected at least 1, or 0 for none.")
        benches += bench.by_fold()
    return benches


def _mapping(value: object, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{what} is {str(value)[:80]!r}, expected names and values.")
    return value


def _check_keys(values: Mapping[str, object], kind: type[Any], what: str) -> None:
    for name in values:
        check_known(name, [each.name for each in fields(kind)], f"{what} has the key")


def _check_changes(changes: object, what: str) -> None:
    for name in _mapping(changes, what):
        if name in _NOT_CHANGED:
            raise InputError(
                f"{what} sets {name}: data and seeds are those of benches and seeds, the same for "
                "all variants."
            )
        if not isinstance(name, str):
            raise InputError(f"{what} sets {name!r}: expected a field such as model.rerank.")


def _check_text(name: object, what: str, where: str) -> None:
    if not isinstance(name, str) or "|" in name:
        raise InputError(
            f"{where} has the {what} {name!r}: expected a text without |, in quotes where YAML "
            "would read a number."
        )
    try:
        check_name(name, f"name of a {what}")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
