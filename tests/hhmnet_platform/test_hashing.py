"""Hashes of configs, which name runs, searches and fusions."""

import re

from hhmnet_platform.hashing import run_name, short_hash


def test_hash_is_the_start_of_the_sha256_of_compact_sorted_json() -> None:
    # printf '%s' '{"a":"x","b":[1,2.5,null]}' | sha256sum
    assert short_hash({"b": [1, 2.5, None], "a": "x"}) == "ce74053d"


def test_run_name_depends_on_the_identity_only() -> None:
    identity = {"inner.rate": 0.5, "inner.branches": [[3, 1], [5, 2]], "seed": 1}
    name = run_name("nw_ucla", "phase1", identity)
    assert re.fullmatch("nw_ucla-phase1-[0-9a-f]{8}", name)
    assert run_name("nw_ucla", "phase1", dict(reversed(identity.items()))) == name
    assert run_name("nw_ucla", "phase1", {**identity, "seed": 2}) != name
