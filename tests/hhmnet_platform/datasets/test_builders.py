"""Stores of each data set, from its files."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from nw_ucla_files import write_nw_ucla_zip
from scipy.io import savemat
from video_files import write_own_data

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.own_layout import layout_fields
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.datasets.builders import (
    prepare_ntu,
    prepare_nw_ucla,
    prepare_own,
    prepare_synthetic,
    prepare_utd_mhad,
)
from hhmnet_platform.datasets.prepare import Prepared

Summary = Callable[[Prepared], str]
DOCS = Path(__file__).parents[3] / "docs" / "data.md"


def test_nw_ucla_notes_that_clips_are_missing(tmp_path: Path, summary: Summary) -> None:
    source = write_nw_ucla_zip(tmp_path / "all_sqe.zip")
    prepared = prepare_nw_ucla(str(source), str(tmp_path / "store"))
    text = summary(prepared)
    for expected in ("nw_ucla", "6 clips with 1", "2 / 3 / 4", "12-3", prepared.manifest.digest):
        assert expected in text
    assert f"{source} holds 6 clips; 1,484 are published" in text
    assert prepared.manifest.counts["12-3"] == {"train": 2, "val": 2, "test": 2}


def test_utd_mhad_is_read_from_matlab_files(tmp_path: Path, summary: Summary) -> None:
    for subject in (1, 2):
        file = io.BytesIO()
        savemat(file, {"d_skel": np.random.default_rng(subject).normal(size=(20, 3, 4))})
        (tmp_path / f"a1_s{subject}_t1_skeleton.mat").write_bytes(file.getvalue())
    prepared = prepare_utd_mhad(str(tmp_path), str(tmp_path / "store"), workers=1)
    manifest = prepared.manifest
    assert (manifest.dataset, manifest.layout) == ("utd_mhad", "kinect_v1_20_utd")
    assert manifest.num_clips == 2 and manifest.visual is None
    assert "holds 2 clips; 861 are published" in summary(prepared)


def test_ntu_shows_the_published_numbers_too(
    ntu_files: Path, tmp_path: Path, summary: Summary
) -> None:
    prepared = prepare_ntu(str(ntu_files), str(tmp_path / "store"), workers=1)
    assert prepared.manifest.dataset == "ntu60"
    assert prepared.manifest.counts["xsub"] == {"train": 6, "val": 0, "test": 6}
    text = summary(prepared)
    for expected in (
        "6 / 40,091", "6 / 16,487", "6 / 37,646", "6 / 18,932",
        "4 clips with 1, 8 clips with 2", "clips not found", "56,566",
        "clips published as missing",
    ):  # fmt: skip
        assert expected in text
    with pytest.raises(InputError, match="made from something else"):
        prepare_ntu(str(ntu_files), str(tmp_path / "store"), align=True, workers=1)


def test_ntu_without_numba_tells_once_what_would_be_faster(
    ntu_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("hhmnet_platform.datasets.builders.compiled_scan", lambda: None)
    told = []
    for _ in ("built", "existing"):
        prepare_ntu(str(ntu_files), str(tmp_path / "store"), workers=1)
        told.append(capsys.readouterr().out.count("pip install 'hhmnet-ray[ntu]'"))
    assert told == [1, 0]


def test_synthetic_video_leaves_the_skeletons_as_they_are(tmp_path: Path) -> None:
    skeletons = str(tmp_path / "skeletons")
    prepare_synthetic(skeletons, clips_per_class=1, stream="none")
    for workers in (1, 2):
        filmed = str(tmp_path / f"filmed{workers}")
        video = VideoConfig(frames=2, size=32)
        manifest = prepare_synthetic(filmed, 1, 1, video=video, workers=workers).manifest
        assert manifest.visual and manifest.visual.clips == manifest.num_clips == 21
        both = [load_clips(store, tmp_path / "cache") for store in (skeletons, filmed)]
        assert np.array_equal(both[0].frames, both[1].frames)
    with pytest.raises(InputError, match=r"made from something else .video"):
        prepare_synthetic(filmed, clips_per_class=1, stream="none")


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The chapter on your own data; the files of its example are in the current folder."""
    chapter = DOCS.read_text().split(" own data\n", 1)[1]
    monkeypatch.chdir(tmp_path)
    exec(chapter.split("```python\n")[1].split("```")[0], {})
    return chapter


def test_own_data_of_the_documented_example_are_prepared(example: str) -> None:
    assert "own --index clips.csv --layout coco_17 --store stores/mine" in example
    prepared = prepare_own("clips.csv", "coco_17", "stores/mine", workers=1)
    assert prepared.manifest.class_names == ("stand", "wave")
    assert prepared.manifest.counts == {"cross-subject": {"train": 16, "val": 8, "test": 24}}
    assert not prepare_own("clips.csv", "coco_17", "stores/mine", workers=1).written


@pytest.mark.slow
def test_own_data_of_the_documented_example_are_learnt(example: str, tmp_path: Path) -> None:
    assert "hhmnet train phase1 --data.store stores/mine" in example
    prepare_own("clips.csv", "coco_17", "stores/mine", workers=1)
    clips = load_clips("stores/mine", tmp_path / "cache")
    *_, report = fit(Phase1Config(optim=OptimConfig(epochs=30)), clips, Mesh())
    assert report.metrics["fusion"]["test/top1"] > 0.9


def test_own_layout_is_kept_in_the_store(tmp_path: Path) -> None:
    file, store = tmp_path / "mine.yaml", tmp_path / "store"
    layout = layout_fields(get_layout("kinect_v1_20")) | {"name": "mine"}
    file.write_text(yaml.safe_dump(layout))
    index = write_own_data(tmp_path)
    manifest = prepare_own(index, str(file), str(store), workers=1).manifest
    file.unlink()
    assert manifest.layout == "mine" and manifest.own_layout == layout
    assert layout_fields(load_clips(store, tmp_path / "cache").manifest.skeleton) == layout
    built_in = prepare_own(index, "kinect_v1_20", str(tmp_path / "other"), workers=1)
    assert built_in.manifest.digest != manifest.digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no layout at .*mine\.yaml: expected a YAML file"),
        ("{", r"mine\.yaml is not YAML"),
        ("", r"mine\.yaml is empty: expected a layout as in docs/data\.md"),
    ],
)
def test_layout_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message):
        prepare_own("unused.csv", str(file), str(tmp_path / "store"), workers=1)


def test_name_that_leads_out_of_the_workspace_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=r"data set name '\.\./\.\./there' cannot be used"):
        prepare_own("no.csv", "coco_17", str(tmp_path / "store"), name="../../there")
    assert not list(tmp_path.iterdir())
