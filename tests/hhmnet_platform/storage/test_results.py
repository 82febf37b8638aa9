"""result.json: what is written is read, to the byte, also what version 0.1.0 wrote."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from earlier_version import EXAMPLE, PHASE1, PHASE2
from finished_runs import RESULT

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.evidence import Gain
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_platform.storage.results import (
    FittedFusion,
    MemberResult,
    format_result,
    parse_result,
)


def test_result_is_read_as_it_was_written() -> None:
    result = replace(RESULT, mesh_history=((0, 0, 1, 2), (1, 40, 2, 2)), copies=("a", "b"))
    assert parse_result(format_result(result), "here") == result
    assert parse_result(format_result(replace(result, fitted=None)), "here").fitted is None


def test_figures_without_copies_are_in_the_file_only_where_there_are_any() -> None:
    members = json.loads(format_result(RESULT))["members"]
    assert members["joint"] == {"epoch": 2, "val_top1": 0.5, "test_top1": 0.4}
    copied = replace(RESULT, members={"joint": MemberResult(2, None, 0.4, 0.3)})
    assert json.loads(format_result(copied))["members"]["joint"] == {
        "epoch": 2, "val_top1": None, "test_top1": 0.4, "test_top1_without_copies": 0.3,
    }  # fmt: skip


def test_basis_of_the_fitted_weights_is_kept() -> None:
    basis = ChoiceBasis("equal", Gain(0.01, 0.02, 126, 1, 9.3))
    fitted = FittedFusion({"joint": 1.0}, 0.5, 0.4, None, basis)
    content = format_result(replace(RESULT, fitted=fitted))
    read = parse_result(content, "here").fitted
    assert read == fitted and "within the noise" in basis.text
    plain = format_result(replace(RESULT, fitted=replace(fitted, basis=None)))
    assert list(json.loads(plain)["fitted"]) == ["weights", "val_top1", "test_top1"]


@pytest.mark.parametrize("name", [PHASE1, PHASE2])
def test_result_of_version_0_1_0_is_read_and_written_to_the_byte(name: str) -> None:
    with tarfile.open(EXAMPLE) as archive:
        file = archive.extractfile(f"workspace/runs/{name}/result.json")
        assert file
        content = file.read()
    result = parse_result(content, name)
    assert result.run == name and format_result(result) == content
    assert len(result.history) == 2 and set(result.members) >= {"joint", "fusion"}


@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b"{}", b'"text"', b"null"])
def test_file_that_is_no_result_is_named(content: bytes) -> None:
    with pytest.raises(InputError, match=r"here/result\.json cannot be read .* delete that file"):
        parse_result(content, "here/result.json")


def test_missing_field_is_named() -> None:
    fields = json.loads(format_result(RESULT))
    del fields["checkpoint"]
    with pytest.raises(InputError, match="checkpoint"):
        parse_result(json.dumps(fields).encode(), "here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tags", []),
        ("seconds", "long"),
        ("layouts", [[0, 0, 1]]),
        ("members", {"joint": {"epoch": 1, "val_top1": "a", "test_top1": 0.5}}),
        ("history", [{"epoch": 1, "seconds": 1.0, "metrics": [0.5]}]),
    ],
)
def test_value_of_the_wrong_kind_is_refused_when_it_is_read(name: str, value: object) -> None:
    fields = json.loads(format_result(RESULT)) | {name: value}
    with pytest.raises(InputError, match=r"here cannot be read .*expected"):
        parse_result(json.dumps(fields).encode(), "here")


def test_member_result_is_the_accuracy_of_its_tables(tmp_path: Path) -> None:
    def table(split: str, copies: frozenset[str] = frozenset()) -> ScoreTable:
        logits = np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
        return ScoreTable(
            ("a", "b", "c", "d"), np.array([0, 1, 1, 0]), logits, "run", "joint", split, "digest",
            ("left", "right"), copies,
        )  # fmt: skip

    by_class = (1 / 2 + 1) / 2  # of the two clips of "left" one is found, of "right" both
    expected = MemberResult(3, None, 0.75, None, None, by_class)
    assert MemberResult.of({"test": table("test")}, 3) == expected
    both = {"val": table("val"), "test": table("test", frozenset({"d"}))}
    assert MemberResult.of(both, None) == MemberResult(None, 0.75, 0.75, 1.0, None, by_class)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run", "../other"),
        ("dataset", "../../../escaped/here"),
        ("checkpoint", "epoch-00002/../../../other"),
        ("checkpoint", "scores"),
        ("phase", "phase9"),
        ("tags", {"hhmnet.phase1": "../other"}),
    ],
)
def test_name_that_leads_to_another_folder_is_refused(name: str, value: object) -> None:
    fields = json.loads(format_result(RESULT)) | {name: value}
    with pytest.raises(InputError, match=r"here cannot be read \("):
        parse_result(json.dumps(fields).encode(), "here")


def test_file_holds_no_password() -> None:
    result = replace(RESULT, tags={"hhmnet.store": "s3://key:secret@bucket/films"})
    assert b"secret" not in format_result(result) and b"s3://bucket/films" in format_result(result)
