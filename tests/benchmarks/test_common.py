"""Helpers that the benchmarks share."""

import argparse
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from hhmnet_core.store.reading import read_manifest

common = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "common.py"))
)


def test_table_aligns_figures_to_the_right() -> None:
    assert common.table(["model", "MiB"], [["stst", 9], ["ctr_gcn", 1234]]).splitlines() == [
        "| model   |  MiB |",
        "| ------- | ---: |",
        "| stst    |    9 |",
        "| ctr_gcn | 1234 |",
    ]


def test_spread_is_the_median_with_the_range() -> None:
    assert common.spread([3.0, 1.0, 2.0]) == "2.00 (1.00 to 3.00)"
    assert common.spread([1.0, 2.0], 1) == "1.5 (1.0 to 2.0)"


def test_mesh_shape_is_parsed() -> None:
    assert common.mesh_shape("2x4") == (2, 4)


@pytest.mark.parametrize("text", ["1x3", "2", "x", "1xtwo", "0x1"])
def test_impossible_mesh_shape_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"such as 1x2, not '{text}'"):
        common.mesh_shape(text)


def test_numbers_below_one_are_refused() -> None:
    assert common.at_least_one("12") == 12
    for text in ("0", "-1", "1.5", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a number of at least 1"):
            common.at_least_one(text)


def test_machine_is_described_with_versions() -> None:
    lines = common.machine()
    assert "cores" in lines[0] and "torch" in lines[-1] and "Python" in lines[-1]


def test_store_is_the_given_one_or_a_temporary_one() -> None:
    with common.store_or_synthetic("s3://bucket/store", 1) as store:
        assert store == "s3://bucket/store"
    with common.store_or_synthetic("", 1) as store:
        assert read_manifest(store).num_clips == 21
    assert not Path(store).exists()
