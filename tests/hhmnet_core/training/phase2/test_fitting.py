"""Phase 2 on one process and on two: it learns, resumes exactly, and every control differs."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_stores import write_store
from safetensors.torch import load_file

from hhmnet_core import notices
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.inputs.footage import Footage
from hhmnet_core.notices import PassProgress, listening
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.fitting import fit as fit_phase1
from hhmnet_core.training.phase2.config import GuidanceConfig, PartsConfig, Phase2Config
from hhmnet_core.training.phase2.fitting import fit, measure_step_seconds
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.records import Metrics
from hhmnet_core.training.reports import EpochReport

CPU = torch.device("cpu")
Run = Callable[..., list[EpochReport]]


def of_epochs(config: Phase2Config, epochs: int) -> Phase2Config:
    return replace(config, optim=replace(config.optim, epochs=epochs))


@pytest.fixture(scope="module")
def run(clips: ClipSet, footage: Footage, phase1: Path) -> Run:
    """Trains a config; saves checkpoints in a folder if there is one."""

    def run(
        config: Phase2Config, save_in: Path | None = None, resume: Path | None = None
    ) -> list[EpochReport]:
        reports = []
        for report in fit(config, clips, footage, phase1, Mesh(), resume=resume):
            if save_in:
                report.state.save(save_in / f"epoch{report.epoch}")
            reports.append(report)
        return reports

    return run


def test_video_learns_what_it_sees(run: Run, small: Phase2Config) -> None:
    report = run(of_epochs(small, 25))[-1]
    table = {t.split: t for t in report.scores}["test"]
    assert table.modality == "video" and len(table) == 16  # two of 18 have no video
    assert report.metrics["video"]["test/top1"] > 0.8
    assert {"train/loss", "train/contrast", "train/guidance", "best/epoch"} <= set(
        report.metrics["video"]
    )


@pytest.fixture(scope="module")
def control_metrics(run: Run, small: Phase2Config) -> Callable[[str, str], Metrics]:
    """The metrics of an epoch under a mode of guidance and one of parts; trained once."""

    @cache
    def metrics(guidance: str, parts: str) -> Metrics:
        return run(with_controls(small, guidance, parts))[-1].metrics

    return metrics


def with_controls(config: Phase2Config, guidance: str, parts: str) -> Phase2Config:
    return replace(
        of_epochs(config, 1),
        guidance=GuidanceConfig(mode=guidance),
        parts=PartsConfig(mode=parts),
    )


@pytest.mark.parametrize("guidance", ["learned", "uniform", "random", "off"])
@pytest.mark.parametrize("parts", ["parts", "body", "off"])
def test_every_control_trains_repeats_and_differs(
    guidance: str,
    parts: str,
    run: Run,
    small: Phase2Config,
    control_metrics: Callable[[str, str], Metrics],
) -> None:
    metrics = control_metrics(guidance, parts)
    assert (metrics["video"]["train/contrast"] > 0) == (parts != "off")
    assert run(with_controls(small, guidance, parts))[-1].metrics == metrics
    if guidance != "learned":
        assert metrics != control_metrics("learned", parts)


def test_resumed_training_equals_uninterrupted_training(
    run: Run, small: Phase2Config, tmp_path: Path
) -> None:
    config, whole = of_epochs(small, 3), tmp_path / "whole"
    report = run(config, save_in=whole)[-1]
    resumed = run(config, save_in=tmp_path / "resumed", resume=whole / "epoch1")[-1]
    a, b = (load_file(f / "epoch3" / "video.safetensors") for f in (whole, tmp_path / "resumed"))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    for one, other in zip(report.scores, resumed.scores, strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)
    (scored,) = run(config, resume=whole / "epoch3")
    np.testing.assert_array_equal(scored.scores[-1].logits, report.scores[-1].logits)


def test_a_guide_may_come_from_a_store_without_video(
    clips: ClipSet, footage: Footage, guide: FrozenEncoder, small: Phase2Config, tmp_path: Path
) -> None:
    manifest = clips.manifest
    write_store(
        tmp_path / "store", [clips.clip(i) for i in range(len(clips))], dataset="skeletons",
        layout=manifest.layout, class_names=manifest.class_names, protocols=manifest.protocols,
        source={},
    )  # fmt: skip
    skeletons = load_clips(tmp_path / "store", tmp_path / "cache")
    assert skeletons.manifest.digest != manifest.digest
    *_, report = fit_phase1(guide.config, skeletons, Mesh())
    report.state.save(tmp_path / "run")
    *_, last = fit(of_epochs(small, 1), clips, footage, tmp_path / "run", Mesh())
    tables = [table for table in report.scores if table.split == "test"]
    (video,) = (table for table in last.scores if table.split == "test")
    fused = fuse(keep_shared_clips([*tables, video]))
    assert len(fused) == len(video) and fused.digest == skeletons.skeletons == clips.skeletons


def test_a_step_and_the_parameters_are_measured(
    clips: ClipSet, footage: Footage, phase1: Path, small: Phase2Config, run: Run
) -> None:
    seconds, parameters = measure_step_seconds(
        small, clips, footage, phase1, CPU, data_parallel=2, steps=1
    )
    assert 0 < seconds < 5
    (stream,) = run(of_epochs(small, 1))[-1].state.streams
    assert parameters == sum(p.numel() for p in stream.model.parameters())


def in_processes(out: Path, phase1: Path, number: int, *resume: Path) -> dict[str, Any]:
    """Train in so many processes, which must report the same, and return their report."""
    out.mkdir()
    paths = [out / "meet", phase1.parent / "store", phase1, out, *resume]
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


@pytest.mark.slow
@pytest.mark.integration
def test_two_processes_are_one_computation(phase1: Path, tmp_path: Path) -> None:
    one, two = (in_processes(tmp_path / str(number), phase1, number) for number in (1, 2))
    a, b = (load_file(tmp_path / n / "epoch2" / "video.safetensors") for n in ("1", "2"))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5, rtol=0, err_msg=name)
    for first, second in zip(one["history"], two["history"], strict=True):
        for metric, value in first["metrics"]["video"].items():
            assert second["metrics"]["video"][metric] == pytest.approx(value, abs=1e-6), metric
    for name in one["scores"]:
        np.testing.assert_allclose(one["scores"][name], two["scores"][name], atol=1e-5)
    # From within an epoch: exactly in the same mesh, to rounding in another.
    again, other = tmp_path / "again", tmp_path / "other"
    assert in_processes(again, phase1, 1, tmp_path / "1" / "epoch1-2") == one
    whole = (tmp_path / "1" / "epoch2" / "video.safetensors").read_bytes()
    assert (again / "epoch2" / "video.safetensors").read_bytes() == whole
    in_processes(other, phase1, 2, tmp_path / "1" / "epoch0-1")
    b = load_file(other / "epoch2" / "video.safetensors")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5, rtol=0, err_msg=name)


def test_passes_before_the_first_step_send_notices(
    run: Run, small: Phase2Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    sent: list[Any] = []
    with listening(sent.append):
        run(of_epochs(small, 1))
    tasks = {notice.task for notice in sent if isinstance(notice, PassProgress)}
    assert {"guidance by the skeleton", "decoding videos", "scoring"} <= tasks
