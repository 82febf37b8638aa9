"""The options of a command: the fields of a dataclass, or the arguments of a function."""

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import docstring_parser


@dataclass(frozen=True)
class Option:
    """An option.

    Attributes:
        name: Dotted name, such as optim.lr.
        type: Its annotation.
        default: Its default. `MISSING`: it has to be given.
        text: Its help.
    """

    name: str
    type: Any
    default: Any
    text: str

    @property
    def alternatives(self) -> tuple[Any, ...]:
        """The types that a value may have, without None."""
        return tuple(each for each in _members(self.type) if each is not type(None))

    @property
    def accepts_null(self) -> bool:
        return self.type is Any or type(None) in _members(self.type)

    @property
    def is_bool(self) -> bool:
        return self.alternatives == (bool,)

    @property
    def items(self) -> tuple[Any, ...]:
        """The types that an item of its list may have; none where it takes no list."""
        lists = (each for each in self.alternatives if get_origin(each) is list)
        return tuple(get_args(each)[0] for each in lists)

    @property
    def is_list(self) -> bool:
        return bool(self.items)

    @property
    def is_list_of_pairs(self) -> bool:
        return any(get_origin(item) is tuple for item in self.items)

    @property
    def is_numeric(self) -> bool:
        """Whether its values, or those in its lists, are numbers and never text."""
        leaves = {leaf for each in self.alternatives for leaf in _leaves(each)}
        return bool(leaves & {int, float}) and str not in leaves

    @property
    def is_mapping(self) -> bool:
        return any(get_origin(each) is dict for each in self.alternatives)


@dataclass(frozen=True)
class Options:
    """All options of a command.

    Attributes:
        by_name: Options by dotted name, in their order.
        groups: Names of groups of options, such as optim.
        has_config: Whether --config and --print_config are options too.
    """

    by_name: Mapping[str, Option]
    groups: frozenset[str]
    has_config: bool

    def of_group(self, group: str) -> list[Option]:
        return [each for name, each in self.by_name.items() if name.startswith(f"{group}.")]


def options_of(target: Callable[..., Any]) -> Options:
    """Return the options of a dataclass or function. Nested dataclasses are groups."""
    if not is_dataclass(target):
        found = list(_of_function(target))
    else:
        assert isinstance(target, type)
        found = list(_of_dataclass(target, None, ""))
    by_name = {each.name: each for each in found}
    parts = [name.split(".") for name in by_name]
    groups = {".".join(each[:depth]) for each in parts for depth in range(1, len(each))}
    return Options(by_name, frozenset(groups), is_dataclass(target))


def expected(option: Option) -> str:
    """Return what values an option takes, in words."""
    words = [_in_words(each) for each in option.alternatives]
    return _joined([*words, *(["null"] if option.accepts_null else [])])


def example(option: Option, in_file: bool = False) -> str:
    """Return an option with a list, as it is typed or as a line of YAML. "" for no list."""
    items = next((_values_of(each) for each in option.items), "")
    if not items:
        return ""
    if in_file:
        values = ", ".join(items.split()).replace("'", "")
        return f"{option.name.rpartition('.')[2]}: [{values}]"
    return f"--{option.name} {items}"


def _values_of(item: Any) -> str:
    """Return two items of a list, as they are typed."""
    if get_origin(item) is Literal:
        return " ".join(get_args(item)[:2])
    return _EXAMPLES.get(get_origin(item) or item, "")


def placeholder(option: Option) -> str:
    """Return what stands for an option's value in its help."""
    if option.is_bool:
        return "[true|false]"
    return "|".join(_placeholder(each) for each in option.alternatives)


def _members(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the types of what stands in lists and tuples, of any depth."""
    if get_origin(annotation) in (list, tuple):
        for each in get_args(annotation):
            yield from _leaves(each)
    else:
        yield annotation


def _of_dataclass(kind: type[Any], instance: Any, prefix: str) -> Iterator[Option]:
    hints, texts = get_type_hints(kind), _texts(*reversed(kind.__mro__))
    for field in fields(kind):
        if not field.init:
            continue
        if instance is not None:
            default = getattr(instance, field.name)
        elif field.default_factory is not MISSING:
            default = field.default_factory()
        else:
            default = field.default
        yield from _option(field.name, hints[field.name], default, texts, prefix)


def _of_function(function: Callable[..., Any]) -> Iterator[Option]:
    hints, texts = get_type_hints(function), _texts(function)
    for name, parameter in inspect.signature(function).parameters.items():
        is_required = parameter.default is inspect.Parameter.empty
        default = MISSING if is_required else parameter.default
        yield from _option(name, hints[name], default, texts, "")


def _option(
    name: str, annotation: Any, default: Any, texts: Mapping[str, str], prefix: str
) -> Iterator[Option]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield from _of_dataclass(annotation, default, f"{prefix}{name}.")
    else:
        yield Option(f"{prefix}{name}", annotation, default, texts.get(name, ""))


def _texts(*documented: Any) -> dict[str, str]:
    """Return the help texts by name; those of later docstrings win."""
    return {
        each.arg_name: " ".join((each.description or "").split())
        for one in documented
        for each in docstring_parser.parse(one.__doc__ or "").params
    }


def _in_words(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return _joined([str(each) for each in get_args(annotation)])
    if origin is list:
        (item,) = get_args(annotation)
        if get_origin(item) is Literal:
            return f"a list of {_in_words(item)}"
        return f"a list of {_PLURAL.get(item) or _PLURAL.get(get_origin(item), 'values')}"
    return _WORDS.get(annotation) or _WORDS.get(origin) or "a value"


def _placeholder(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return "|".join(str(each) for each in get_args(annotation))
    if origin is list:
        item = _placeholder(get_args(annotation)[0])
        return f"{item} ..."
    return _PLACEHOLDERS.get(annotation) or _PLACEHOLDERS.get(origin) or "VALUE"


def _joined(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping such as {name: value}",
    tuple: "a list of fixed length",
}
_PLURAL: dict[Any, str] = {
    int: "whole numbers",
    float: "numbers",
    str: "texts",
    dict: "mappings such as {name: value}",
    tuple: "pairs",
}
_EXAMPLES: dict[Any, str] = {
    int: "16 32",
    float: "0.1 0.2",
    str: "A B",
    tuple: "'[3,1]' '[5,1]'",
}
_PLACEHOLDERS: dict[Any, str] = {
    int: "N",
    float: "NUMBER",
    str: "TEXT",
    dict: "{NAME: VALUE}",
    tuple: "[N,N]",
}
