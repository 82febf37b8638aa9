"""Hashes of configs, which name runs, searches and fusions."""

import hashlib
import json
from collections.abc import Mapping


def run_name(dataset: str, phase: str, identity: Mapping[str, object]) -> str:
    """Return `<dataset>-<phase>-<hash of the identity>`.

    Args:
        dataset: Name of the data set.
        phase: Name of the phase.
        identity: All values that decide the result, as JSON values.
    """
    return f"{dataset}-{phase}-{short_hash(identity)}"


def short_hash(values: Mapping[str, object]) -> str:
    """Return the first 8 hex digits of the SHA-256 of JSON values, whatever the order of keys."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
