"""Values and spellings that options do not expect."""

from collections.abc import Callable

VALUES = {
    "empty": "",
    "null": "null",
    "text": "some text",
    "negative": "-1",
    "zero": "0",
    "fraction": "0.5",
    "huge": "1" + "0" * 30,
    "digits": "9" * 5000,
    "huge float": "1e308",
    "tiny": "1e-320",
    "nan": ".nan",
    "infinity": ".inf",
    "unicode": "ä€😀",
    "not utf-8": "\udcff",
    "newline": "a\nb",
    "escape": "\x1b[31m",
    "parent": "../../x",
    "absolute": "/nowhere/x",
    "address": "nobody://there/x",
    "quotes": "'\"`$(id)",
    "markup": "[bold]x[/]",
    "dollar": "$x_{",
    "long": "x" * 100_000,
    "list": "[1, two, 3.0]",
    "nested": "[[1, 2], [3]]",
    "deep": "[" * 3000,
    "mapping": "{no_such_option: 1}",
    "class": "{class_path: os.getcwd}",
    "recursive": "&a [*a]",
    "choice": "no_such_choice",
    "true": "true",
    "false": "false",
    "blank": "  ",
    "dash": "--",
}
# Changes of the command line itself: from the option's name and its valid value to arguments.
SHAPES: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "no value": lambda name, value: (f"--{name}",),
    "twice": lambda name, value: (f"--{name}={value}", f"--{name}={value}"),
    "unlike": lambda name, value: (f"--{name}={value}", f"--{name}=7"),
    "abbreviated": lambda name, value: (f"--{name[:-1]}={value}",),
    "longer": lambda name, value: (f"--{name}x={value}",),
    "below": lambda name, value: (f"--{name}.x=1",),
    "appended": lambda name, value: (f"--{name}+={value}",),
    "apart": lambda name, value: (f"--{name}", value or "1"),
    "hyphens": lambda name, value: (f"--{name.replace('_', '-')}={value}",),
    "several": lambda name, value: (f"--{name}", value, value),
    "single dash": lambda name, value: (f"-{name}={value}",),
}
# Never accepted.
REFUSED = {"abbreviated", "appended", "below", "longer", "single dash"}
IN_A_FILE = {"NUL in a file": "a\0b", "not a number in a file": "1:2"}  # by --config
