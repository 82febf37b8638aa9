"""ensemble.json: enough to rebuild the ensemble, and read as it was written."""

import fnmatch
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from earlier_version import EXAMPLE

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.ensemble_result import (
    EnsembleResult,
    leaderboard_cells,
    leaderboard_headings,
    parse_ensemble,
    print_ensemble,
    summarise_ensemble,
)
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.storage.record_files import format_record


@pytest.fixture
def result(ensemble: Ensemble, config: SelectionConfig) -> EnsembleResult:
    return summarise_ensemble(ensemble, "data/xsub", "", config)


def test_result_is_enough_to_score_clips(ensemble: Ensemble, result: EnsembleResult) -> None:
    by_name = {each.name: each for each in ensemble.candidates}
    logs = np.zeros((200, 5))
    for member in result.members:
        logits = by_name[member.name].test.logits.astype(np.float64) / member.temperature
        logs += member.weight * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    shares = np.exp(logs / result.mixture_temperature)
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, ensemble.mixture("test"), atol=1e-6)
    right = logs.argmax(1) == ensemble.labels("test")
    assert result.leaderboard[0].test_top1 == right.mean()
    assert [(each.name, each.reason) for each in result.rejected] == [
        ("other/joint", "is <running>")
    ]


def test_result_is_read_as_it_was_written(result: EnsembleResult) -> None:
    content = format_record(result)
    assert parse_ensemble(content, "here") == result
    assert list(json.loads(content))[:4] == ["experiment", "filter", "selection", "digest"]


def test_result_of_version_0_1_0_is_read_and_written_to_the_byte() -> None:
    with tarfile.open(EXAMPLE) as archive:
        (name,) = fnmatch.filter(archive.getnames(), "workspace/ensembles/*/ensemble.json")
        file = archive.extractfile(name)
        assert file
        content = file.read()
    result = parse_ensemble(content, name)
    assert format_record(result) == content
    assert name.split("/")[-2] == f"example-ensemble-{short_hash(result.identity())}"


def test_name_depends_on_members_and_selection(result: EnsembleResult) -> None:
    assert replace(result, copies=9).identity() == result.identity()
    for other in (
        replace(result, members=result.members[:-1]),
        replace(result, selection=SelectionConfig(steps=11)),
        replace(result, filter="params.seed = '1'"),
    ):
        assert other.identity() != result.identity()


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}"])
def test_file_that_is_no_ensemble_is_named(content: bytes) -> None:
    with pytest.raises(InputError, match=r"here/ensemble\.json cannot be read"):
        parse_ensemble(content, "here/ensemble.json")


def test_table_has_the_compared_rows_and_what_was_left_out(
    result: EnsembleResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [entry.name.split(":")[0] for entry in result.compared] == [
        "ensemble", "best single", "all, equal weights", "best 4 streams",
        "best 4 streams and video",
    ]  # fmt: skip
    assert len(result.compared) + 9 == len(result.leaderboard)
    print_ensemble(result, "data-ensemble-1")
    output = capsys.readouterr().out
    assert "best 4 streams" in output and "left out: other/joint is <running>" in output
    assert "Against the best single network:" in output and "without copies" not in output


def test_copies_are_a_column(copied: list[Candidate], config: SelectionConfig) -> None:
    ensemble = make_ensemble(copied, [], config)
    result = summarise_ensemble(ensemble, "data/xsub", "", config)
    assert result.copies == 50 and leaderboard_headings(result)[-1] == "test without copies"
    ours = result.leaderboard[0]
    assert leaderboard_cells(result, ours)[-1] == f"{ours.test_top1_without_copies:.1%}"
