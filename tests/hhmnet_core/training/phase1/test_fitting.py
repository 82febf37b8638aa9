"""Phase 1 on one process: it learns, selects on val, resumes, and refuses what does not fit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hhmnet_core import notices
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.notices import PassProgress, StepProgress, listening
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import fold_selection
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit, measure_step_seconds
from hhmnet_core.training.reports import EpochReport

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reports(tiny_clips: ClipSet, small: Phase1Config) -> list[EpochReport]:
    return list(fit(small, tiny_clips, Mesh()))


def test_it_learns(reports: list[EpochReport]) -> None:
    assert [report.epoch for report in reports] == list(range(1, 13))
    for modality in MODALITIES:
        first, last = (
            report.metrics[modality]["train/loss"] for report in (reports[0], reports[-1])
        )
        assert last < 0.9 * first
    assert reports[-1].metrics["fusion"]["test/top1"] > 0.7
    assert (
        reports[-1].metrics["joint"]["train/contrast"]
        < reports[0].metrics["joint"]["train/contrast"]
    )


def test_the_best_epoch_is_the_one_with_the_best_val(reports: list[EpochReport]) -> None:
    last = reports[-1].metrics
    for name in MODALITIES:
        of_val = [(r.metrics[name]["val/top1"], -r.metrics[name]["val/loss"]) for r in reports]
        best = max(range(len(of_val)), key=of_val.__getitem__)
        assert last[name]["best/epoch"] == best + 1
        assert last[name]["best/val_top1"] == of_val[best][0]


def test_final_tables_come_from_the_best_epoch(
    reports: list[EpochReport], tiny_clips: ClipSet
) -> None:
    tables = {(table.modality, table.split): table for table in reports[-1].scores}
    assert set(tables) == {(m, s) for m in (*MODALITIES, "fusion") for s in ("val", "test")}
    for modality in MODALITIES:
        metrics = reports[-1].metrics[modality]
        assert top1(tables[modality, "val"]) == metrics["best/val_top1"]
        assert top1(tables[modality, "test"]) == metrics["test/top1"]
    fusion = reports[-1].metrics["fusion"]
    assert top1(tables["fusion", "val"]) == fusion["best/val_top1"]
    assert top1(tables["fusion", "test"]) == fusion["test/top1"]
    table = tables["joint", "test"]
    assert list(table.sample_ids) == [f"clip{i:03d}" for i in range(36, 54)]
    np.testing.assert_array_equal(table.labels, tiny_clips.labels[36:])
    assert all(not report.scores for report in reports[:-1])


def test_history_holds_every_epoch(reports: list[EpochReport]) -> None:
    assert [record.epoch for record in reports[-1].history] == list(range(1, 13))
    assert reports[-1].history[4].metrics == reports[4].metrics
    assert len(reports[3].history) == 4


def test_literature_selection_trains_on_all_and_has_no_val(
    tiny_clips: ClipSet, one_epoch: Phase1Config, small: Phase1Config
) -> None:
    config = replace(one_epoch, data=replace(small.data, selection="literature"))
    (report,) = fit(config, tiny_clips, Mesh())
    assert {table.split for table in report.scores} == {"test"}
    assert not any(name.startswith(("val/", "best/")) for name in report.metrics["joint"])


def test_a_fold_is_scored_by_the_last_epoch_and_chooses_none(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    short = replace(small, optim=replace(small.optim, epochs=4))
    *_, chosen = fit(short, tiny_clips, Mesh())
    folds = []
    for fold in (1, 2):
        data = replace(small.data, selection=fold_selection(fold, 2))
        *_, last = fit(replace(short, data=data), tiny_clips, Mesh())
        folds.append(last)
        for modality in MODALITIES:
            values = last.metrics[modality]
            assert values["best/epoch"] == 4
            assert values["best/val_top1"] == values["val/top1"]
    held_out = [
        {s for t in last.scores if t.split == "val" for s in t.sample_ids} for last in folds
    ]
    assert not held_out[0] & held_out[1]
    assert set(next(t for t in chosen.scores if t.split == "val").sample_ids) <= set.union(
        *held_out
    )


@pytest.mark.parametrize("positives", ["clip", "class"])
def test_contrast_pulls_modalities_together(
    positives: str, tiny_clips: ClipSet, small: Phase1Config
) -> None:
    small = replace(small, optim=replace(small.optim, epochs=5))
    config = replace(small, contrast=ContrastConfig(weight=1.0, positives=positives))
    *_, tied = fit(config, tiny_clips, Mesh())
    *_, free = fit(
        replace(config, contrast=ContrastConfig(weight=1e-9, positives=positives)),
        tiny_clips,
        Mesh(),
    )
    assert tied.metrics["bone"]["train/contrast"] < free.metrics["bone"]["train/contrast"] - 0.1


def test_divergence_is_one_clear_error(tiny_clips: ClipSet, small: Phase1Config) -> None:
    config = replace(small, optim=OptimConfig(epochs=2, batch=8, lr=1e30, warmup=0))
    with pytest.raises(InputError, match=r"diverged \(losses .* in epoch \d\): lower optim.lr"):
        list(fit(config, tiny_clips, Mesh()))


def test_divergence_in_the_last_step_is_told_as_such(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    # One step an epoch, and no average: its loss is still sound, what it leaves is not.
    config = replace(
        small, optim=OptimConfig(epochs=1, batch=64, lr=1e38, warmup=0, weight_decay=0, ema=0)
    )
    with pytest.raises(InputError, match=r"diverged \(logits of val .*lower optim.lr \(1e\+38\)"):
        list(fit(config, tiny_clips, Mesh()))


def test_checkpoint_of_another_config_is_refused(
    tiny_clips: ClipSet, tmp_path: Path, small: Phase1Config
) -> None:
    next(fit(small, tiny_clips, Mesh())).state.save(tmp_path)
    with pytest.raises(InputError, match="trained with another config"):
        next(fit(replace(small, seed=2), tiny_clips, Mesh(), resume=tmp_path))


def test_no_checkpoint_is_named(tiny_clips: ClipSet, tmp_path: Path, small: Phase1Config) -> None:
    with pytest.raises(InputError, match="not a checkpoint of phase 1"):
        next(fit(small, tiny_clips, Mesh(), resume=tmp_path))


def test_damaged_checkpoint_is_named(
    tiny_clips: ClipSet, tmp_path: Path, small: Phase1Config
) -> None:
    next(fit(small, tiny_clips, Mesh())).state.save(tmp_path)
    (tmp_path / "bone.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"bone.safetensors is damaged"):
        next(fit(small, tiny_clips, Mesh(), resume=tmp_path))


def test_a_step_is_measured(tiny_clips: ClipSet, small: Phase1Config) -> None:
    assert (
        0 < measure_step_seconds(small, tiny_clips, CPU, data_parallel=2, modality_parallel=2) < 5
    )


def test_a_baseline_goes_on_exactly_where_it_stood(
    tiny_clips: ClipSet, tmp_path: Path, small: Phase1Config
) -> None:
    """Batch statistics and momentum are part of a checkpoint, and of what is scored."""
    config = replace(
        small,
        data=DataConfig(frames=8, selection="literature"),
        model=ModelConfig(name="st_gcn", embedding=8),
        optim=OptimConfig(name="sgd", epochs=2, batch=16, lr=0.02, ema=0.5),
    )
    first, straight = [
        _saved(report, tmp_path) for report in fit(config, tiny_clips, Mesh.alone(4))
    ]
    (resumed,) = [
        _saved(report, tmp_path / "again")
        for report in fit(config, tiny_clips, Mesh.alone(4), resume=first)
    ]
    before, after = (load_file(folder / "joint.safetensors") for folder in (straight, resumed))
    assert any(name.startswith("optimizer/momentum_buffer/") for name in before)
    assert any(name.startswith("average/") and name.endswith("running_var") for name in before)
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def _saved(report: EpochReport, folder: Path) -> Path:
    report.state.save(folder / str(report.epoch))
    return folder / str(report.epoch)


def test_encoders_side_by_side_train_as_one_after_the_other(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    config = replace(small, optim=replace(small.optim, epochs=2, precision="float64"))
    threads = torch.get_num_threads()
    metrics = []
    try:
        for number in (1, 4):
            torch.set_num_threads(number)
            metrics.append([report.metrics for report in fit(config, tiny_clips, Mesh())][-1])
    finally:
        torch.set_num_threads(threads)
    for modality, values in metrics[0].items():
        assert metrics[1][modality] == pytest.approx(values, rel=1e-9)


def test_reports_within_an_epoch_hold_how_far_it_has_come(
    tiny_clips: ClipSet, tmp_path: Path, small: Phase1Config
) -> None:
    config = replace(small, optim=replace(small.optim, epochs=2))
    whole = list(fit(config, tiny_clips, Mesh()))
    reports = []
    for report in fit(config, tiny_clips, Mesh(), max_unsaved=lambda: 0.0):
        report.state.save(tmp_path / f"{report.epoch}-{report.steps}")
        reports.append((report.epoch, report.steps))
        assert [record.epoch for record in report.history] == list(range(1, report.epoch + 1))
        assert bool(report.metrics) == (report.steps == 0)
    assert reports == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert [record.metrics for record in report.history] == [each.metrics for each in whole]
    # An epoch's seconds are those of all its parts, and nothing is lost or counted twice.
    state = json.loads((tmp_path / "1-2" / "state.json").read_text())
    assert state["epoch"] == 1 and state["part"]["steps"] == 2
    state["part"]["seconds"] = 1000.0
    del state["files"], state["sha256"]  # as of before there were checksums
    (tmp_path / "1-2" / "state.json").write_text(json.dumps(state))
    (last,) = fit(config, tiny_clips, Mesh(), resume=tmp_path / "1-2")
    assert [record.metrics for record in last.history] == [each.metrics for each in whole]
    assert 1000 < last.history[-1].seconds < 1060 and last.seconds < 60


@pytest.mark.parametrize("modalities", [("joint",), ("bone", "bone_motion")])
def test_some_modalities_alone_are_the_networks_of_all_without_contrast(
    modalities: tuple[str, ...], small: Phase1Config, tiny_clips: ClipSet
) -> None:
    config = replace(small, contrast=ContrastConfig(weight=0), optim=replace(small.optim, epochs=2))
    *_, together = fit(config, tiny_clips, Mesh())
    *_, alone = fit(config, tiny_clips, Mesh.of(modalities))
    networks = {stream.member: stream.model.state_dict() for stream in together.state.streams}
    assert [stream.member for stream in alone.state.streams] == list(modalities)
    for stream in alone.state.streams:
        for name, tensor in stream.model.state_dict().items():
            assert torch.equal(tensor, networks[stream.member][name]), name
    tables = {(table.modality, table.split): table for table in together.scores}
    assert {table.modality for table in alone.scores} == {*modalities, "fusion"}
    for table in alone.scores:
        if table.modality in modalities:
            known = tables[table.modality, table.split]
            np.testing.assert_array_equal(table.logits, known.logits)
    for modality in modalities:
        assert alone.metrics[modality] == together.metrics[modality]


def test_one_modality_has_nothing_to_be_contrasted_with(
    one_epoch: Phase1Config, tiny_clips: ClipSet
) -> None:
    (weighted,) = fit(one_epoch, tiny_clips, Mesh.of(["joint"]))
    (without,) = fit(
        replace(one_epoch, contrast=ContrastConfig(weight=0)), tiny_clips, Mesh.of(["joint"])
    )
    assert weighted.metrics == without.metrics


def test_training_sends_notices_of_its_passes_and_steps_and_is_the_same(
    tiny_clips: ClipSet, small: Phase1Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [report.metrics for report in fit(small, tiny_clips, Mesh())]
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    sent: list[Any] = []
    with listening(sent.append):
        noticed = [report.metrics for report in fit(small, tiny_clips, Mesh())]
    assert noticed == plain
    steps = [notice for notice in sent if isinstance(notice, StepProgress)]
    assert [(n.epoch, n.step) for n in steps] == [
        (epoch, step + 1) for epoch in range(1, len(plain) + 1) for step in range(steps[0].steps)
    ]
    assert all(0 < n.loss < 10 and n.clips_per_second > 0 for n in steps)
    passes = [notice for notice in sent if isinstance(notice, PassProgress)]
    assert {n.task for n in passes} == {
        "measuring bodies",
        "measuring motion",
        "measuring the inputs",
        "scoring",
    }
    assert all(n.clips <= n.total for n in passes) and passes[-1].clips == passes[-1].total
