"""fusion.json: read as it was written, and shown as a table."""

import fnmatch
import tarfile
from dataclasses import replace

import pytest
from earlier_version import EXAMPLE

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.evidence import Gain
from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.fusion_result import (
    FusionResult,
    SearchSettings,
    fusion_table,
    parse_fusion,
)
from hhmnet_platform.fusion.weightings import baseline_fusions
from hhmnet_platform.storage.record_files import format_record


@pytest.fixture
def result(copied: list[Candidate]) -> FusionResult:
    return FusionResult(
        search=SearchSettings(["data-phase1-good"], "/w", 4, 300, 1, ""),
        digest="d" * 64,
        scores="s" * 64,
        clips={"val": 200, "test": 200},
        copies=50,
        fusions=(fusions := baseline_fusions(copied[:4])) | {"searched": fusions["equal"]},
    )


def test_result_is_read_as_it_was_written(result: FusionResult) -> None:
    assert parse_fusion(format_record(result), "here") == result
    assert result.searched == result.fusions["equal"]


def test_result_of_version_0_1_0_is_read_and_written_to_the_byte() -> None:
    with tarfile.open(EXAMPLE) as archive:
        (name,) = fnmatch.filter(archive.getnames(), "workspace/fusions/*/fusion.json")
        file = archive.extractfile(name)
        assert file
        content = file.read()
    result = parse_fusion(content, name)
    assert format_record(result) == content and len(result.searched.weights) == 5


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"search": {}}'])
def test_file_that_is_no_fusion_is_named(content: bytes) -> None:
    with pytest.raises(InputError, match=r"here/fusion\.json cannot be read"):
        parse_fusion(content, "here/fusion.json")


def test_table_has_a_column_without_copies_where_there_are_any(result: FusionResult) -> None:
    table = fusion_table(result)
    assert [column.header for column in table.columns][-1] == "test without copies"
    expected = result.fusions["equal"].test_top1_without_copies
    assert list(table.columns[-1].cells)[1] == f"{expected:.1%}"
    assert table.caption == "50 test clips are copies of training clips"
    basis = ChoiceBasis("equal", Gain(0.01, 0.02, 126, 1, 9.3))
    chosen = fusion_table(replace(result, copies=0, basis=basis)).caption
    assert chosen == f"Chosen: {basis.text}" and "within the noise" in basis.text
    assert parse_fusion(format_record(replace(result, basis=basis)), "here").basis == basis
    plain = fusion_table(replace(result, copies=0))
    assert len(plain.columns) == 4 and plain.caption is None
    assert str(plain.title) == "fusions, 200 clips of val and 200 of test"
    folded = fusion_table(replace(result, search=replace(result.search, folds=5)))
    assert "200 clips of val, out of fold, and" in str(folded.title)
