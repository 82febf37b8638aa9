"""Phase 2: a frozen guide, exact resume, every control of guidance and parts, bad input."""

import copy
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from copied_clips import showing
from safetensors.torch import load_file
from video_files import film_store

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import Footage, load_footage, with_video
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import split
from hhmnet_core.store.reading import load_clips
from hhmnet_core.store.writing import write_store
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit as fit_phase1
from hhmnet_core.training.phase2.config import GuidanceConfig, PartsConfig, Phase2Config
from hhmnet_core.training.phase2.fitting import fit
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.trainer import Phase2Trainer
from hhmnet_core.training.reports import EpochReport

CPU = torch.device("cpu")


def config(epochs: int = 2) -> Phase2Config:
    return Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
        augment=VideoAugmentConfig(mirror=0.5),
        optim=OptimConfig(epochs=epochs, batch=8, lr=3e-3, warmup=1, ema=0.9),
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipSet, Footage, Path]:
    """A store with video, and a finished phase-1 run on it."""
    folder = tmp_path_factory.mktemp("phase2")
    store = film_store(folder / "store")
    clips, footage = (load(store, folder / "cache") for load in (load_clips, load_footage))
    first = Phase1Config(
        data=DataConfig(frames=16),
        model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
        optim=OptimConfig(epochs=2, batch=8),
    )
    for report in fit_phase1(first, clips, Mesh()):
        report.state.save(folder / f"epoch{report.epoch}")
    return clips, footage, folder


def run(world: tuple[ClipSet, Footage, Path], config: Phase2Config, **more: Path) -> EpochReport:
    clips, footage, folder = world
    for report in fit(config, clips, footage, folder / "epoch2", Mesh(), **more):  # noqa: B007
        pass
    return report


def test_video_learns_what_it_sees(world: tuple[ClipSet, Footage, Path]) -> None:
    report = run(world, config(epochs=25))
    table = {t.split: t for t in report.scores}["test"]
    assert table.modality == "video" and len(table) == 16  # two of 18 have no video
    assert report.metrics["video"]["test/top1"] > 0.8
    assert {"train/loss", "train/contrast", "train/guidance", "best/epoch"} <= set(
        report.metrics["video"]
    )


def test_tables_mark_copies_of_training_clips(world: tuple[ClipSet, Footage, Path]) -> None:
    clips, footage, folder = world
    everyone = split(clips, "", "val")
    filmed = with_video(everyone, footage)
    of_filmed, of_dark, *_ = map(int, filmed.test)
    known = {*everyone.train.tolist(), *everyone.val.tolist()}
    dark = min(known - {*filmed.train.tolist(), *filmed.val.tolist()})
    copied = showing(showing(clips, of_filmed, int(filmed.train[0])), of_dark, dark)
    *_, report = fit(config(epochs=1), copied, footage, folder / "epoch2", Mesh())
    both = {str(clips.sample_ids[each]) for each in (of_filmed, of_dark)}  # phase 1 knows both
    for table in report.scores:
        expected = both if table.split == "test" else set()
        assert table.copies == expected


def test_guide_is_frozen_to_the_last_bit(world: tuple[ClipSet, Footage, Path]) -> None:
    clips, footage, folder = world
    guide = FrozenEncoder(folder / "epoch2", "joint", clips, CPU)
    before = {name: t.clone() for name, t in guide.encoder.state_dict().items()}
    trainer = Phase2Trainer(config(), clips, footage, guide, Mesh(), CPU)
    for step, clips_n in enumerate(trainer.epoch_order(1)):
        trainer.train_step(1, step, clips_n)
    after = guide.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad or p.grad is not None for p in guide.encoder.parameters())
    saved = load_file(folder / "epoch2" / "joint.safetensors")
    for name, weight in saved.items():
        if name.startswith("best/"):
            assert torch.equal(weight, after[name.removeprefix("best/")])


@pytest.mark.parametrize("guidance", ["learned", "uniform", "random", "off"])
@pytest.mark.parametrize("parts", ["parts", "body", "off"])
def test_every_control_trains_and_differs(
    world: tuple[ClipSet, Footage, Path], guidance: str, parts: str
) -> None:
    ours = replace(
        config(epochs=1),
        guidance=GuidanceConfig(mode=guidance),
        parts=PartsConfig(mode=parts),
    )
    report = run(world, ours)
    assert (report.metrics["video"]["train/contrast"] > 0) == (parts != "off")
    again = run(world, ours)
    assert again.metrics == report.metrics
    if guidance != "learned":
        assert report.metrics != run(world, replace(ours, guidance=GuidanceConfig())).metrics


def test_resumed_training_is_the_uninterrupted_one(
    world: tuple[ClipSet, Footage, Path], tmp_path: Path
) -> None:
    clips, footage, folder = world
    for report in fit(config(epochs=3), clips, footage, folder / "epoch2", Mesh()):
        report.state.save(tmp_path / f"whole{report.epoch}")
    resumed = run(world, config(epochs=3), resume=tmp_path / "whole1")
    resumed.state.save(tmp_path / "resumed")
    names = "video.safetensors"
    a, b = (load_file(tmp_path / at / names) for at in ("whole3", "resumed"))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    for one, other in zip(report.scores, resumed.scores, strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)
    last = run(world, config(epochs=3), resume=tmp_path / "whole3")
    np.testing.assert_array_equal(last.scores[-1].logits, report.scores[-1].logits)


def test_part_similarity_is_the_mean_cosine_of_what_is_seen(
    world: tuple[ClipSet, Footage, Path],
) -> None:
    clips, footage, folder = world
    guide = FrozenEncoder(folder / "epoch2", "joint", clips, CPU)
    trainer = Phase2Trainer(config(), clips, footage, guide, Mesh(), CPU)
    for step, clips_n in enumerate(trainer.epoch_order(1)):
        trainer.train_step(1, step, clips_n)
    said = trainer.final_metrics()["video"]
    model = copy.deepcopy(trainer.stream.model).eval()
    model.load_state_dict(trainer.stream.evaluated)
    cosines: dict[tuple[int, int], list[float]] = defaultdict(list)
    for clip in trainer.split.test.tolist():
        one = torch.tensor([clip])
        heat, spots = trainer.guidance.heat(one, trainer.joints[one], trainer.grid)
        masks, tokens = trainer.guidance.masks(spots), trainer.guidance.tokens(one)
        assert masks is not None
        with torch.no_grad():
            parts = model(trainer.reader.images(one) / 255, heat, masks).parts_npe[0].numpy()
            known = model.project_parts(tokens)[0].numpy()
        seen = masks[0].sum((1, 2, 3)).numpy() > 1e-3
        for i, j in np.argwhere(np.outer(seen, tokens[0].any(-1).numpy() & seen)).tolist():
            cosines[i, j].append(float(parts[i] @ known[j]))
    expected = {
        f"similarity/{PARTS[i]}/{PARTS[j]}": np.mean(values) for (i, j), values in cosines.items()
    }
    assert said == pytest.approx(expected, abs=1e-5) and len(said) == 36
    trainer.mesh.rows = lambda total: slice(total, total)  # type: ignore[method-assign]
    assert trainer.final_metrics() == {"video": {}}  # more processes than clips: no share of test
    off = Phase2Trainer(
        replace(config(), parts=PartsConfig(mode="body")), clips, footage, guide, Mesh(), CPU
    )
    assert off.final_metrics() == {}


def test_a_guide_may_come_from_a_store_without_video(
    world: tuple[ClipSet, Footage, Path], tmp_path: Path
) -> None:
    filmed, footage, folder = world
    manifest = filmed.manifest
    write_store(
        tmp_path / "store", [filmed.clip(i) for i in range(len(filmed))], dataset="skeletons",
        layout=manifest.layout, class_names=manifest.class_names, protocols=manifest.protocols,
        source={},
    )  # fmt: skip
    clips = load_clips(tmp_path / "store", tmp_path / "cache")
    assert clips.manifest.digest != manifest.digest
    first = FrozenEncoder(folder / "epoch2", "joint", filmed, CPU).config
    for report in fit_phase1(first, clips, Mesh()):  # noqa: B007
        pass
    report.state.save(tmp_path / "run")
    *_, last = fit(config(epochs=1), filmed, footage, tmp_path / "run", Mesh())
    skeletons = [table for table in report.scores if table.split == "test"]
    (video,) = (table for table in last.scores if table.split == "test")
    fused = fuse(keep_shared_clips([*skeletons, video]))
    assert len(fused) == len(video) and fused.digest == clips.skeletons == filmed.skeletons


def test_clips_without_video_take_no_part(world: tuple[ClipSet, Footage, Path]) -> None:
    clips, footage, folder = world
    guide = FrozenEncoder(folder / "epoch2", "joint", clips, CPU)
    trainer = Phase2Trainer(config(), clips, footage, guide, Mesh(), CPU)
    everyone = split(clips, "", "val")
    for part in ("train", "val", "test"):
        kept, all_of_it = (set(getattr(s, part).tolist()) for s in (trainer.split, everyone))
        assert kept == {i for i in all_of_it if footage.there_n[i]}


def test_guide_of_another_store_unfinished_or_none_is_refused(
    world: tuple[ClipSet, Footage, Path], tiny_clips: ClipSet, tmp_path: Path
) -> None:
    clips, _, folder = world
    with pytest.raises(InputError, match=r"was trained on other skeletons .*layout kinect_v1_20"):
        FrozenEncoder(folder / "epoch2", "joint", tiny_clips, CPU)
    with pytest.raises(InputError, match=r"is unfinished \(1 of 2 epochs\)"):
        FrozenEncoder(folder / "epoch1", "joint", clips, CPU)
    with pytest.raises(InputError, match="is not a checkpoint of phase 1"):
        FrozenEncoder(tmp_path, "joint", clips, CPU)
    shutil.copytree(folder / "epoch2", tmp_path / "copy")
    state = json.loads((tmp_path / "copy" / "state.json").read_text())
    (tmp_path / "copy" / "state.json").write_text(json.dumps(state | {"phase": "phase2"}))
    with pytest.raises(InputError, match="is a checkpoint of phase2, expected one of phase 1"):
        FrozenEncoder(tmp_path / "copy", "joint", clips, CPU)
    (tmp_path / "copy" / "state.json").write_text(json.dumps(state))
    (tmp_path / "copy" / "joint.safetensors").write_bytes(b"spoilt")
    with pytest.raises(InputError, match=r"cannot be read .* train it again"):
        FrozenEncoder(tmp_path / "copy", "joint", clips, CPU)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GuidanceConfig(modality="video"), "guidance.modality must be one of joint"),
        (lambda: PartsConfig(weight=-1), "parts.weight"),
        (lambda: PartsConfig(temperature=0), "parts.temperature"),
        (lambda: Phase2Config(seed=-1), "seed must be"),
    ],
)
def test_bad_settings_are_named(make, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        make()


def in_processes(
    out: Path, world: tuple[ClipSet, Footage, Path], number: int, *resume: Path
) -> dict[str, Any]:
    """Trains by so many processes; what each of them reports must be the same."""
    out.mkdir()
    _, _, folder = world
    paths = [out / "meet", folder / "store", folder / "epoch2", out, *resume]
    worker = Path(__file__).with_name("phase2_worker.py")
    workers = [
        subprocess.Popen([sys.executable, worker, str(rank), str(number), *map(str, paths)])
        for rank in range(number)
    ]
    try:
        assert [worker.wait(timeout=200) for worker in workers] == [0] * number
    finally:
        for each in workers:
            each.kill()
    reports = [json.loads((out / f"rank{rank}.json").read_text()) for rank in range(number)]
    for report in reports:
        for record in report["history"]:
            record.pop("seconds")
    assert all(report == reports[0] for report in reports)
    return dict(reports[0])


@pytest.mark.integration
def test_two_processes_are_one_computation(
    world: tuple[ClipSet, Footage, Path], tmp_path: Path
) -> None:
    one, two = (in_processes(tmp_path / str(number), world, number) for number in (1, 2))
    a, b = (load_file(tmp_path / n / "epoch2" / "video.safetensors") for n in ("1", "2"))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5, rtol=0, err_msg=name)
    for first, second in zip(one["history"], two["history"], strict=True):
        for metric, value in first["metrics"]["video"].items():
            assert second["metrics"]["video"][metric] == pytest.approx(value, abs=1e-6), metric
    for name in one["scores"]:
        np.testing.assert_allclose(one["scores"][name], two["scores"][name], atol=1e-5)
    # From within an epoch: exactly in the same layout, to rounding in another.
    again, other = tmp_path / "again", tmp_path / "other"
    assert in_processes(again, world, 1, tmp_path / "1" / "epoch1-2") == one
    whole = (tmp_path / "1" / "epoch2" / "video.safetensors").read_bytes()
    assert (again / "epoch2" / "video.safetensors").read_bytes() == whole
    in_processes(other, world, 2, tmp_path / "1" / "epoch0-1")
    b = load_file(other / "epoch2" / "video.safetensors")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5, rtol=0, err_msg=name)
