"""Every shape of the mesh computes the same: real processes, gloo, double precision."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from hhmnet_core.skeleton.modalities import MODALITIES

WORKER = Path(__file__).with_name("mesh_worker.py")
TOLERANCE = 1e-5
Shape = tuple[int, int]  # D, P

pytestmark = pytest.mark.integration


def train(out: Path, store: Path, shape: Shape, resume: Path | None = None) -> dict[str, Any]:
    """Runs D x P processes; what each of them reports must be the same."""
    data, modality = shape
    world = data * modality
    out.mkdir()
    extra = [str(resume)] if resume else []
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                WORKER,
                str(rank),
                str(world),
                str(modality),
                out / "meet",
                store,
                out,
                *extra,
            ]
        )
        for rank in range(world)
    ]
    try:
        assert [worker.wait(timeout=200) for worker in workers] == [0] * world
    finally:
        for worker in workers:
            worker.kill()
    reports = [json.loads((out / f"rank{rank}.json").read_text()) for rank in range(world)]
    for report in reports:
        for record in report["history"]:
            record.pop("seconds")
    assert all(report == reports[0] for report in reports)
    return reports[0]


def assert_same_gradients(ours: Path, theirs: Path) -> None:
    """The gradient of the first step, from equal weights, agrees to rounding."""
    for modality in MODALITIES:
        a, b = (load_file(run / f"{modality}-gradient.safetensors") for run in (ours, theirs))
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], atol=1e-12, rtol=1e-9, err_msg=name)


def assert_same(ours: Path, theirs: Path, epoch: int) -> None:
    for modality in MODALITIES:
        a, b = (
            load_file(run / f"epoch{epoch}" / f"{modality}.safetensors") for run in (ours, theirs)
        )
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], atol=TOLERANCE, rtol=0, err_msg=name)


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Reports are equal in structure, their numbers to the tolerance."""
    for a, b in itertools.zip_longest(ours["history"], theirs["history"]):
        assert a["metrics"].keys() == b["metrics"].keys()
        for modality, metrics in a["metrics"].items():
            assert metrics == pytest.approx(b["metrics"][modality], abs=TOLERANCE)
    assert ours["scores"].keys() == theirs["scores"].keys()
    for name, logits in ours["scores"].items():
        np.testing.assert_allclose(logits, theirs["scores"][name], atol=TOLERANCE, rtol=0)


@pytest.fixture(scope="module")
def alone(
    tiny_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("meshes") / "1x1"
    return out, train(out, tiny_store, (1, 1))


@pytest.mark.parametrize("shape", [(1, 2), (1, 4), (2, 1), (2, 2)], ids="{0[0]}x{0[1]}".format)
def test_every_shape_trains_as_one_process_does(
    shape: Shape, alone: tuple[Path, dict[str, Any]], tiny_store: Path, tmp_path: Path
) -> None:
    folder, expected = alone
    out = tmp_path / "mesh"
    assert_close(train(out, tiny_store, shape), expected)
    assert_same_gradients(out, folder)
    assert_same(out, folder, epoch=3)


def test_a_checkpoint_of_1x4_resumes_in_2x2(
    alone: tuple[Path, dict[str, Any]], tiny_store: Path, tmp_path: Path
) -> None:
    folder, expected = alone
    train(tmp_path / "1x4", tiny_store, (1, 4))
    resumed = train(tmp_path / "2x2", tiny_store, (2, 2), resume=tmp_path / "1x4" / "epoch1")
    assert not (tmp_path / "2x2" / "epoch1").exists()
    assert_close(resumed, expected)
    assert_same(tmp_path / "2x2", folder, epoch=3)


def test_resuming_is_exact_on_one_process(
    alone: tuple[Path, dict[str, Any]], tiny_store: Path, tmp_path: Path
) -> None:
    folder, expected = alone
    out = tmp_path / "resumed"
    assert train(out, tiny_store, (1, 1), resume=folder / "epoch2") == expected
    for modality in MODALITIES:
        file = f"epoch3/{modality}.safetensors"
        assert (out / file).read_bytes() == (folder / file).read_bytes()
    rescored = train(tmp_path / "rescored", tiny_store, (1, 1), resume=folder / "epoch3")
    assert rescored == expected


def within(folder: Path) -> Path:
    """A checkpoint that was written within an epoch; not the first epoch's, which has no best."""
    return max(folder.glob("epoch1-*"))


def test_resuming_within_an_epoch_is_exact_on_one_process(
    alone: tuple[Path, dict[str, Any]], tiny_store: Path, tmp_path: Path
) -> None:
    folder, expected = alone
    out = tmp_path / "resumed"
    assert train(out, tiny_store, (1, 1), resume=within(folder)) == expected
    assert not (out / "epoch1").exists()
    for epoch in (2, 3):
        for modality in MODALITIES:
            file = f"epoch{epoch}/{modality}.safetensors"
            assert (out / file).read_bytes() == (folder / file).read_bytes()


def test_a_checkpoint_within_an_epoch_of_2x2_resumes_in_1x2(
    alone: tuple[Path, dict[str, Any]], tiny_store: Path, tmp_path: Path
) -> None:
    folder, expected = alone
    train(tmp_path / "2x2", tiny_store, (2, 2))
    resumed = train(tmp_path / "1x2", tiny_store, (1, 2), resume=within(tmp_path / "2x2"))
    assert_close(resumed, expected)
    assert_same(tmp_path / "1x2", folder, epoch=3)
