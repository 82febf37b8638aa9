"""Mutations: reproducible, different from the valid file, and for every kind of format."""

import json
import pickle
from pathlib import Path
from random import Random

import pytest
import yaml
from faults.mutate import DIRECTORY, MUTATIONS, edit_tree, mutate, mutation_names, replace_file

VALID = {
    "binary": bytes(range(256)) * 4,
    "text": b"2\n1 0.5\n3 -1.5e3\n",
    "csv": b"id,label\na,1\nb,2\n",
    "json": json.dumps({"a": [1, 2.5], "b": {"c": "text"}}, indent=1).encode(),
    "pickle": pickle.dumps({"a": [1, 2.5], "b": "text"}),
    "yaml": yaml.safe_dump({"a": [1, 2.5], "b": {"c": "text"}}).encode(),
}


@pytest.mark.parametrize("kind", VALID)
def test_every_mutation_changes_the_file_and_is_reproducible(kind: str) -> None:
    for name in mutation_names(kind):
        for seed in range(5):
            first, second = (
                mutate(VALID[kind], kind, name, Random(seed), b"other") for _ in range(2)
            )
            assert first != VALID[kind] and first == second, (name, seed)


def test_every_kind_has_an_example_here() -> None:
    assert set(VALID) == MUTATIONS.keys() - {"any"}


def test_structural_edits_leave_json_that_can_be_parsed() -> None:
    trees = []
    for seed in range(50):
        changed = mutate(VALID["json"], "json", "json", Random(seed), b"")
        assert changed is not None
        trees.append(json.loads(changed))
    assert len({json.dumps(tree) for tree in trees}) > 20
    assert {"a", "b"} - {*trees[0]} or trees[0] != json.loads(VALID["json"])


def test_edit_of_a_plain_value_is_another_value() -> None:
    assert edit_tree(1, Random(0)) != 1


def test_folder_takes_the_place_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    replace_file(file, DIRECTORY)
    assert file.is_dir()
