"""Recipes: the config files that are part of this package, found by their names."""

from difflib import get_close_matches
from pathlib import Path

from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access

_PACKAGE = Path(__file__).parents[1]
# The wheel has them within the package; a checkout has them where they are edited.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parents[1] / "experiments" / "configs")


def recipes() -> dict[str, Path]:
    """Return the files of all recipes by name."""
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def find_recipe(given: str, kind: str = "config file") -> Path:
    """Return the file of this path or, where there is none, the recipe of this name.

    Args:
        given: Path of a file, or name of a recipe.
        kind: Name of what it holds, for messages.

    Raises InputError for neither, and for a folder.
    """
    path = Path(given)
    with local_access(path):
        if path.is_dir():
            raise InputError(f"{given} is a folder: give a YAML file in it.")
        if path.exists():
            return path
    known = recipes()
    name = path.name.removesuffix(".yaml")
    if given == name and name in known:
        return known[name]
    near = get_close_matches(name, known, n=3) or [
        each for each in known if len(name) > 2 and name in each
    ]
    if near:
        advice = f"did you mean {' or '.join(near)}?"
    else:
        advice = f"recipes are {', '.join(known)}." if known else "give its path."
    raise InputError(f"There is no {kind} {given}, and no recipe of this name: {advice}")
