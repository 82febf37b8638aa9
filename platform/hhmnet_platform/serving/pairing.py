"""Pairing the classes of a store with those of a model."""

from hhmnet_core.errors import InputError
from hhmnet_platform.datasets.layouts import read_yaml


def pair_classes(
    store: tuple[str, ...], model: tuple[str, ...], given: dict[str, str]
) -> dict[int, int]:
    """Return the model's class of each class of a store, for those that the model has.

    Args:
        store: Names of the store's classes.
        model: Names of the model's classes.
        given: Name of the model's class by the name of the store's. Others pair by their names,
            where case, blanks, hyphens and underscores do not count.

    Raises:
        InputError: A given name that is none, or no pair at all.
    """
    for ours, theirs in given.items():
        for name, known, whose in ((ours, store, "store"), (theirs, model, "model")):
            if name not in known:
                raise InputError(
                    f"The class map names {name!r}, which is no class of the {whose}; it has "
                    f"{', '.join(known)}."
                )
    by_name = {_plain(name): index for index, name in enumerate(model)}
    pairs = {}
    for index, name in enumerate(store):
        if name in given:
            pairs[index] = model.index(given[name])
        elif _plain(name) in by_name:
            pairs[index] = by_name[_plain(name)]
    if not pairs:
        raise InputError(
            f"The store and the model share no class name: the store has {', '.join(store[:5])} "
            f"..., the model {', '.join(model[:5])} ...; give --class_map."
        )
    return pairs


def read_class_map(uri: str) -> dict[str, str]:
    """Return the pairs of class names of a YAML file, {name in the store: name in the model}.

    Raises:
        InputError: No such file, or one that is no YAML of pairs of names.
    """
    values = read_yaml(uri, "class map")
    if not isinstance(values, dict) or not all(
        isinstance(text, str) for pair in values.items() for text in pair
    ):
        raise InputError(
            f"{uri} is no class map: expected lines such as 'waving: wave', names of the store's "
            "and of the model's classes, in quotes where they are numbers."
        )
    return values


def _plain(name: str) -> str:
    return "".join(name.casefold().replace("_", " ").replace("-", " ").split())
