"""The hash of a config that names runs, searches and fusions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any


def flatten(config: object) -> dict[str, Any]:
    """A dataclass as JSON's plain values by dotted names."""
    values: dict[str, Any] = {}
    plain = json.loads(json.dumps(asdict(config)))  # type: ignore[call-overload]

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else key, inner)
        else:
            values[prefix] = value

    visit("", plain)
    return values


def run_name(dataset: str, phase: str, science: Mapping[str, Any]) -> str:
    """`<dataset>-<phase>-<hash>`, the hash over all that decides the result."""
    return f"{dataset}-{phase}-{short_hash(science)}"


def short_hash(said: Mapping[str, Any]) -> str:
    """Of JSON's plain values: eight digits that equal ones share."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
