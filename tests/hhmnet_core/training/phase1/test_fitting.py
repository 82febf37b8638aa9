"""Phase 1 on one process: it learns, selects on val, and refuses what does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from copied_clips import showing
from safetensors.torch import load_file

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.inputs.batches import Batch
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import fold_selection
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1 import trainer as trainer_module
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit, measure_step_seconds
from hhmnet_core.training.phase1.trainer import Phase1Trainer, make_encoder
from hhmnet_core.training.reports import EpochReport

CPU = torch.device("cpu")
SMALL = Phase1Config(
    data=DataConfig(frames=8),
    model=ModelConfig(widths=[16], heads=2, embedding=8),
    optim=OptimConfig(epochs=12, batch=8, lr=1e-2, warmup=1),
)


def one_epoch(config: Phase1Config = SMALL) -> Phase1Config:
    return replace(config, optim=replace(config.optim, epochs=1))


@pytest.fixture(scope="module")
def reports(tiny_clips: ClipSet) -> list[EpochReport]:
    return list(fit(SMALL, tiny_clips, Mesh()))


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


def test_tables_mark_copies_of_training_clips(tiny_clips: ClipSet) -> None:
    clips = showing(tiny_clips, 40, shown=3)  # 36 and on are test
    (report,) = fit(one_epoch(), clips, Mesh())
    for table in report.scores:
        assert table.copies == ({"clip040"} if table.split == "test" else set())


def test_a_step_trains_on_what_data_and_augment_ask_for(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(
        SMALL,
        data=replace(SMALL.data, normalise_axes=True),
        augment=AugmentConfig(random_frames=True),
    )
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    positions, seen = [], []
    cut, derived = trainer.reader.batch, trainer_module.derive

    def batch(clips_n: torch.Tensor, positions_nt: torch.Tensor) -> Batch:
        positions.append(positions_nt)
        return cut(clips_n, positions_nt)

    def derive(joints: torch.Tensor, modality: str, layout: Layout) -> torch.Tensor:
        seen.append(joints)
        return derived(joints, modality, layout)

    monkeypatch.setattr(trainer.reader, "batch", batch)
    monkeypatch.setattr(trainer_module, "derive", derive)
    trainer.train_step(1, 1, trainer.epoch_order(1)[0])
    (drawn,) = positions
    assert torch.equal(drawn, drawn.floor()) and (drawn.diff(dim=1) == 0).any()
    assert len(seen) == len(MODALITIES)
    for joints in seen:
        torch.testing.assert_close(joints.amin((2, 3, 4)), torch.full(joints.shape[:2], -1.0))
        torch.testing.assert_close(joints.amax((2, 3, 4)), torch.ones(joints.shape[:2]))


def test_history_holds_every_epoch(reports: list[EpochReport]) -> None:
    assert [record.epoch for record in reports[-1].history] == list(range(1, 13))
    assert reports[-1].history[4].metrics == reports[4].metrics
    assert len(reports[3].history) == 4


def test_literature_selection_trains_on_all_and_has_no_val(tiny_clips: ClipSet) -> None:
    config = replace(one_epoch(), data=replace(SMALL.data, selection="literature"))
    (report,) = fit(config, tiny_clips, Mesh())
    assert {table.split for table in report.scores} == {"test"}
    assert not any(name.startswith(("val/", "best/")) for name in report.metrics["joint"])


def test_a_fold_is_scored_by_the_last_epoch_and_chooses_none(tiny_clips: ClipSet) -> None:
    short = replace(SMALL, optim=replace(SMALL.optim, epochs=4))
    *_, chosen = fit(short, tiny_clips, Mesh())
    folds = []
    for fold in (1, 2):
        data = replace(SMALL.data, selection=fold_selection(fold, 2))
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


def test_modalities_do_not_depend_on_each_other_without_contrast(tiny_clips: ClipSet) -> None:
    config = replace(one_epoch(), contrast=ContrastConfig(weight=0))
    (together,) = fit(config, tiny_clips, Mesh())
    (alone,) = fit(config, tiny_clips, Mesh.alone(4))
    assert alone.metrics["joint"] == together.metrics["joint"]


@pytest.mark.parametrize("positives", ["clip", "class"])
def test_contrast_pulls_modalities_together(positives: str, tiny_clips: ClipSet) -> None:
    config = replace(SMALL, contrast=ContrastConfig(weight=1.0, positives=positives))
    *_, tied = fit(config, tiny_clips, Mesh())
    *_, free = fit(
        replace(config, contrast=ContrastConfig(weight=1e-9, positives=positives)),
        tiny_clips,
        Mesh(),
    )
    assert tied.metrics["bone"]["train/contrast"] < free.metrics["bone"]["train/contrast"] - 0.1


def test_encoders_of_a_seed_are_equal_and_of_modalities_are_not(tiny_clips: ClipSet) -> None:
    def stem(config: Phase1Config, modality: str) -> torch.Tensor:
        return make_encoder(config, modality, tiny_clips).stem.weight

    assert torch.equal(stem(SMALL, "bone"), stem(SMALL, "bone"))
    assert not torch.equal(stem(SMALL, "bone"), stem(SMALL, "joint"))
    assert not torch.equal(stem(SMALL, "bone"), stem(replace(SMALL, seed=2), "bone"))


def test_input_is_standardised_over_the_bodies_of_the_training_clips(tiny_clips: ClipSet) -> None:
    streams = next(fit(one_epoch(), tiny_clips, Mesh())).state.streams
    training = [i for i in range(36) if tiny_clips.subjects[i] != 3]
    frames = []
    for index in training:
        joints = tiny_clips.clip(index).joints.astype(np.float64)
        joints -= joints[0, 0, 2]
        positions = np.linspace(0, joints.shape[1] - 1, 8)
        low = np.floor(positions).astype(int)
        part = (positions - low)[:, None, None]
        high = np.minimum(low + 1, joints.shape[1] - 1)
        frames += list(joints[:, low] * (1 - part) + joints[:, high] * part)
    joint_rtvc = np.stack(frames)
    motion_rtvc = np.zeros_like(joint_rtvc)
    motion_rtvc[:, :-1] = np.diff(joint_rtvc, axis=1)
    for stream, x_rtvc in ((streams[0], joint_rtvc), (streams[2], motion_rtvc)):
        mean_vc = x_rtvc.mean((0, 1))
        np.testing.assert_allclose(stream.model.input_mean, mean_vc, atol=1e-5)
        deviation = np.sqrt(((x_rtvc - mean_vc) ** 2).mean())
        assert stream.model.input_std.item() == pytest.approx(deviation, rel=1e-4)


def test_making_an_encoder_leaves_the_global_generator_alone(tiny_clips: ClipSet) -> None:
    before = torch.get_rng_state()
    make_encoder(SMALL, "joint", tiny_clips)
    assert torch.equal(torch.get_rng_state(), before)


def test_divergence_is_one_clear_error(tiny_clips: ClipSet) -> None:
    config = replace(SMALL, optim=OptimConfig(epochs=2, batch=8, lr=1e30, warmup=0))
    with pytest.raises(InputError, match=r"diverged \(losses .* in epoch \d\): lower optim.lr"):
        list(fit(config, tiny_clips, Mesh()))


def test_divergence_in_the_last_step_is_told_as_such(tiny_clips: ClipSet) -> None:
    # One step an epoch, and no average: its loss is still sound, what it leaves is not.
    config = replace(
        SMALL, optim=OptimConfig(epochs=1, batch=64, lr=1e38, warmup=0, weight_decay=0, ema=0)
    )
    with pytest.raises(InputError, match=r"diverged \(logits of val .*lower optim.lr \(1e\+38\)"):
        list(fit(config, tiny_clips, Mesh()))


def test_checkpoint_of_another_config_is_refused(tiny_clips: ClipSet, tmp_path: Path) -> None:
    next(fit(SMALL, tiny_clips, Mesh())).state.save(tmp_path)
    with pytest.raises(InputError, match="trained with another config"):
        next(fit(replace(SMALL, seed=2), tiny_clips, Mesh(), resume=tmp_path))


def test_the_store_may_move_between_checkpoint_and_resume(
    tiny_clips: ClipSet, tmp_path: Path
) -> None:
    next(fit(SMALL, tiny_clips, Mesh())).state.save(tmp_path)
    moved = replace(SMALL, data=replace(SMALL.data, store="elsewhere"))
    assert next(fit(moved, tiny_clips, Mesh(), resume=tmp_path)).epoch == 2


def test_checkpoint_of_other_data_is_refused(tiny_clips: ClipSet, tmp_path: Path) -> None:
    next(fit(SMALL, tiny_clips, Mesh())).state.save(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**state, "digest": "0"}))
    with pytest.raises(InputError, match="trained with another digest"):
        next(fit(SMALL, tiny_clips, Mesh(), resume=tmp_path))


def test_damaged_checkpoint_is_named(tiny_clips: ClipSet, tmp_path: Path) -> None:
    next(fit(SMALL, tiny_clips, Mesh())).state.save(tmp_path)
    (tmp_path / "bone.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"bone.safetensors cannot be read"):
        next(fit(SMALL, tiny_clips, Mesh(), resume=tmp_path))


def test_no_checkpoint_is_named(tiny_clips: ClipSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a checkpoint of phase 1"):
        next(fit(SMALL, tiny_clips, Mesh(), resume=tmp_path))


def test_impossible_config_is_named() -> None:
    with pytest.raises(InputError, match="seed must be at least 0, but is -1"):
        Phase1Config(seed=-1)
    with pytest.raises(InputError, match=r"model\.patch must be at most data\.frames"):
        Phase1Config(data=DataConfig(frames=2))


def test_too_many_data_workers_for_a_batch_are_refused(tiny_clips: ClipSet) -> None:
    mesh = Mesh()
    mesh.data = 9
    with pytest.raises(InputError, match="A batch of 8 clips cannot be split over 9"):
        next(fit(SMALL, tiny_clips, mesh))


def test_a_step_is_measured(tiny_clips: ClipSet) -> None:
    assert (
        0 < measure_step_seconds(SMALL, tiny_clips, CPU, data_parallel=2, modality_parallel=2) < 5
    )


def test_a_baseline_goes_on_exactly_where_it_stood(tiny_clips: ClipSet, tmp_path: Path) -> None:
    """Batch statistics and momentum are part of a checkpoint, and of what is scored."""
    config = replace(
        SMALL,
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


def test_a_network_that_normalises_over_the_batch_is_not_split(tiny_clips: ClipSet) -> None:
    mesh = Mesh()
    mesh.data = 2
    config = replace(SMALL, model=ModelConfig(name="ctr_gcn"))
    with pytest.raises(InputError, match=r"ctr_gcn normalises over the whole batch"):
        next(fit(config, tiny_clips, mesh))


def test_encoders_side_by_side_train_as_one_after_the_other(tiny_clips: ClipSet) -> None:
    config = replace(SMALL, optim=replace(SMALL.optim, epochs=2, precision="float64"))
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
    tiny_clips: ClipSet, tmp_path: Path
) -> None:
    config = replace(SMALL, optim=replace(SMALL.optim, epochs=2))
    whole = list(fit(config, tiny_clips, Mesh()))
    reports = []
    for report in fit(config, tiny_clips, Mesh(), patience=lambda: 0.0):
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
    (tmp_path / "1-2" / "state.json").write_text(json.dumps(state))
    (last,) = fit(config, tiny_clips, Mesh(), resume=tmp_path / "1-2")
    assert [record.metrics for record in last.history] == [each.metrics for each in whole]
    assert 1000 < last.history[-1].seconds < 1060 and last.seconds < 60


def test_a_checkpoint_from_before_there_were_parts_of_epochs_resumes(
    tiny_clips: ClipSet, tmp_path: Path
) -> None:
    next(fit(SMALL, tiny_clips, Mesh())).state.save(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    del state["part"]
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert next(fit(SMALL, tiny_clips, Mesh(), resume=tmp_path)).epoch == 2
