"""Mutations of files: what disks, transfers, editors and other programs make of a valid file.

A mutation is a function from the content, a source of randomness and the content of another valid
file to new content; DIRECTORY stands for a folder in the file's place. `MUTATIONS` is the one
table: a new mutation joins by an entry there.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml
from hostile_pickles import HOSTILE

DIRECTORY = None
Content = bytes | None
Mutation = Callable[[bytes, Random, bytes], Content]

# Each is at home in some reader: sizes, counts, indices, floats, dates, Python's limit on digits.
NUMBERS = (
    "0", "-1", "-0.0", "1e308", "-1e308", "1e-320", "NaN", "Infinity", "-Infinity", "1.5",
    "2147483648", "-9223372036854775809", "18446744073709551616", "9" * 400, "9" * 5000,
)  # fmt: skip
WORDS = (
    "", " ", "\0", "\n", "../../etc/passwd", "/etc/passwd", "nobody://there", "ä€😀", "'\"`$(id)$",
    "%s{0}", "[bold]x[/]", "x" * 100_000, "null", "true", "0",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_EXTREME_BYTES = (b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8, b"\0" * 8)
_DEPTH = 3000  # deeper than Python's recursion limit


def mutate(content: bytes, kind: str, name: str, random: Random, other: bytes) -> Content:
    """Return a mutated file that differs from the valid one.

    Args:
        content: The valid file.
        kind: Kind of the format: a key of `MUTATIONS`.
        name: Name of the mutation, from `mutation_names(kind)`.
        random: Source of randomness.
        other: Another valid file, for mutations that mix two.
    """
    table = MUTATIONS["any"] | MUTATIONS[kind]
    for _ in range(20):
        changed = table[name](content, random, other)
        if changed != content:
            return changed
    return content + b"\0"  # a file on which the mutation has no effect, such as an empty one


def mutation_names(kind: str) -> list[str]:
    """Return the names of the mutations of a kind of format."""
    return list(MUTATIONS["any"] | MUTATIONS[kind])


def replace_file(path: Path, content: Content) -> None:
    """Write a mutated file in the place of the valid one."""
    path.unlink()
    if content is DIRECTORY:
        path.mkdir()
    else:
        path.write_bytes(content)


def _flip_bits(content: bytes, random: Random, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 8, 64))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _extreme_bytes(content: bytes, random: Random, other: bytes) -> bytes:
    value = random.choice(_EXTREME_BYTES)
    at = random.randrange(max(1, len(content) - len(value)))
    return content[:at] + value + content[at + len(value) :]


def _truncate(content: bytes, random: Random, other: bytes) -> bytes:
    size = len(content)
    return content[: random.choice((1, size // 2, size - 1, random.randrange(max(1, size))))]


def _zeroed(content: bytes, random: Random, other: bytes) -> bytes:
    """Return the file with its tail in zeros, as a power cut leaves it."""
    kept = random.randrange(max(1, len(content)))
    return content[:kept] + b"\0" * (len(content) - kept)


def _swap(content: bytes, random: Random, other: bytes) -> bytes:
    size = max(1, min(len(content) // 4, random.choice((1, 16, 512))))
    first, second = sorted(random.randrange(max(1, len(content) - size)) for _ in range(2))
    if second < first + size:
        return content
    a, b = content[first : first + size], content[second : second + size]
    return content[:first] + b + content[first + size : second] + a + content[second + size :]


def _splice(content: bytes, random: Random, other: bytes) -> bytes:
    at = random.randrange(max(1, len(content)))
    return content[:at] + other[at:] if random.random() < 0.5 else content[:at] + other


def _numbers(content: bytes, random: Random, other: bytes) -> bytes:
    """Replace a number in a text, or all of them, by an extreme one."""
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    number = random.choice(NUMBERS).encode()
    if random.random() < 0.1:
        return _NUMBER.sub(number, content)
    match = random.choice(found)
    return content[: match.start()] + number + content[match.end() :]


def _encoded(content: bytes, random: Random, other: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = random.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037"))
    return text.encode(encoding, "replace")


def _insert_text(content: bytes, random: Random, other: bytes) -> bytes:
    at = random.randrange(len(content) + 1)
    piece = random.choice(
        (b"\0", b"\xff\xfe", b"\r", b"\xc3", b"\xed\xa0\x80", b"\t", b'"', b"\x1b")
    )
    return content[:at] + piece + content[at:]


def _lines(content: bytes, random: Random, other: bytes) -> bytes:
    """Drop, repeat or move a line."""
    lines = content.splitlines(keepends=True)
    at = random.randrange(max(1, len(lines)))
    line = lines[at : at + 1]
    rest = lines[:at] + lines[at + 1 :]
    to = random.randrange(len(rest) + 1)
    return b"".join(
        random.choice((rest, lines[:at] + line + lines[at:], rest[:to] + line + rest[to:]))
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place within nested values: its container and its key or index."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def edit_tree(tree: Any, random: Random) -> Any:
    """Change one place of nested values: drop it, or give it another type, size or depth."""
    places = list(_places(tree))
    if not places or random.random() < 0.05:
        return random.choice((None, [], {}, 0, "text", [tree]))
    container, key = random.choice(places)
    old = container[key]
    edit = random.choice(("drop", "rename", "type", "type", "number", "word", "wrap", "more"))
    if edit == "drop":
        del container[key]
    elif edit == "rename" and isinstance(container, dict):
        container[random.choice(WORDS[4:])] = container.pop(key)
    elif edit == "number":
        number = random.choice(NUMBERS[:13])
        container[key] = float(number) if set(number) & set(".eNI") else int(number)
    elif edit == "word":
        container[key] = random.choice(WORDS)
    elif edit == "wrap":
        container[key] = random.choice(([old], {"a": old}, [old, old]))
    elif edit == "more" and isinstance(container, list):
        container.insert(key, old)
    else:
        container[key] = random.choice((None, [], {}, 0, -1, 2.5, "text", True, [1, "a"], {"a": 1}))
    return tree


def _json(content: bytes, random: Random, other: bytes) -> bytes:
    """Edit the structure of a JSON file, or of one line of a file of JSON lines."""
    lines = content.splitlines()
    if _is_json(content):
        return json.dumps(edit_tree(json.loads(content), random)).encode()
    at = random.choice([at for at, line in enumerate(lines) if _is_json(line)] or [0])
    lines[at] = json.dumps(edit_tree(json.loads(lines[at]), random)).encode()
    return b"\n".join(lines) + b"\n"


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _deep(content: bytes, random: Random, other: bytes) -> bytes:
    """Nest a value deeper than a recursive reader goes."""
    deep = b"[" * _DEPTH + b"]" * _DEPTH
    return _with_value(content, random, random.choice((deep, deep[:_DEPTH])))


def _with_value(content: bytes, random: Random, value: bytes) -> bytes:
    """Return a JSON or YAML file with one of its values replaced by a text."""
    found = list(re.finditer(rb"(?<=: )[^\s{\[,][^,\n}\]]*", content))
    if not found:
        return value
    match = random.choice(found)
    return content[: match.start()] + value + content[match.end() :]


def _duplicate_key(content: bytes, random: Random, other: bytes) -> bytes:
    found = list(re.finditer(rb'"[^"\n]+": ', content))
    if not found:
        return content
    match = random.choice(found)
    value = random.choice((b"null", b"1", b'"text"', b"[]", b"{}"))
    return content[: match.start()] + match[0] + value + b", " + content[match.start() :]


def _yaml(content: bytes, random: Random, other: bytes) -> bytes:
    tree = edit_tree(yaml.safe_load(content), random)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


_YAML_VALUES = (
    b"&a [*a]", b"&a {k: *a}", b"*nowhere", b"!!python/object/apply:os.getpid []", b"!!binary x",
    b"!!timestamp x", b"2026-13-45", b"0o9", b"1:2:3", b"~", b"{<<: 1}", b"{? [1]: 2}", b"|", b"@x",
    b"- - -", b"%YAML 3.0", b"\t", b"!!set {a}", b"{1: a, 1: b}", b"!!float x", b"1_000", b".nan",
)  # fmt: skip


def _yaml_value(content: bytes, random: Random, other: bytes) -> bytes:
    return _with_value(content, random, random.choice(_YAML_VALUES))


def _yaml_bomb(content: bytes, random: Random, other: bytes) -> bytes:
    """Let aliases stand for lists of aliases: a few hundred bytes that unfold to 10^9 values."""
    levels = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [
        b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)
    ]
    return b"\n".join(levels) + b"\n" + _with_value(content, random, b"*a8")


def _csv(content: bytes, random: Random, other: bytes) -> bytes:
    """Change a cell, a row or the heading of a CSV file."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    row = random.choice(rows)
    at = random.randrange(len(row))
    edit = random.choice(("word", "number", "drop", "more", "column"))
    if edit == "word":
        row[at] = random.choice(WORDS)
    elif edit == "number":
        row[at] = random.choice(NUMBERS)
    elif edit == "drop":
        del row[at]
    elif edit == "more":
        row.insert(at, row[at])
    else:
        for each in rows:
            del each[at : at + 1]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "replace")


_TEXT: dict[str, Mutation] = {
    "numbers": _numbers,
    "encoding": _encoded,
    "insert": _insert_text,
    "lines": _lines,
}
MUTATIONS: dict[str, dict[str, Mutation]] = {
    "any": {
        "flip": _flip_bits,
        "extreme": _extreme_bytes,
        "truncate": _truncate,
        "zeroed": _zeroed,
        "zeros": lambda content, random, other: content + b"\0" * random.choice((1, 512, 1 << 20)),
        "garbage": lambda content, random, other: (
            content + random.randbytes(random.choice((1, 999)))
        ),
        "noise": lambda content, random, other: random.randbytes(len(content) or 9),
        "swap": _swap,
        "splice": _splice,
        "other": lambda content, random, other: other,
        "empty": lambda content, random, other: b"",
        "directory": lambda content, random, other: DIRECTORY,
    },
    "binary": {},
    "pickle": {
        "hostile": lambda content, random, other: random.choice(list(HOSTILE.values())),
    },
    "text": _TEXT,
    "csv": _TEXT | {"csv": _csv},
    "json": _TEXT | {"json": _json, "deep": _deep, "duplicate": _duplicate_key},
    "yaml": _TEXT | {"yaml": _yaml, "value": _yaml_value, "deep": _deep, "bomb": _yaml_bomb},
}
