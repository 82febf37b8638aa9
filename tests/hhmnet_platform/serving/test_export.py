"""Exported models: what is written, what is printed, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import random_network, write_random_model

from hhmnet_core.deploy.export_check import make_clip, pad
from hhmnet_core.deploy.export_formats import RunGraph, load_graph
from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_platform.serving import export
from hhmnet_platform.serving.export import ExportJob, run_export


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A model of one tiny network."""
    tiny = ModelConfig(widths=[8], heads=1, embedding=4)
    return write_random_model(tmp_path / "model", [random_network("joint", model=tiny)])


def run(place: Path, out: Path | str, **options: Any) -> None:
    run_export(ExportJob(model=str(place), out=str(out), **options))


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_file_is_checked_and_written(
    kind: Any, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    out = tmp_path / "new" / f"model.{kind}"
    run(place, out, format=kind)
    printed = capsys.readouterr()
    assert "checked on 21 made clips: probabilities differ from the model's by at most" in (
        printed.out
    )
    assert printed.out.startswith(f"{out}: ") and printed.err == ""
    model = load_model(place)
    clips = [make_clip(model.layout, 2, 20, np.random.default_rng(seed))]
    found, _ = load_graph(out.read_bytes(), kind)(*pad(clips))
    np.testing.assert_allclose(found, model.predict(clips), rtol=0, atol=1e-5)


def test_a_model_is_copied(place: Path, tmp_path: Path) -> None:
    run(place, tmp_path / "copy")
    clips = [np.ones((4, 20, 3)) * np.arange(1, 5)[:, None, None]]
    np.testing.assert_array_equal(
        load_model(tmp_path / "copy").predict(clips), load_model(place).predict(clips)
    )


def test_without_out_the_place_of_a_model_is_printed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place, "")
    assert capsys.readouterr().out == f"model: {place}\n"


@pytest.mark.parametrize("kind", ["model", "onnx", "pt2"])
def test_what_exists_is_replaced_on_demand_only(kind: Any, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "taken"
    if kind == "model":
        out.mkdir()
    (out / "file" if kind == "model" else out).write_bytes(b"before")
    with pytest.raises(InputError, match=r"taken exists: .*--overwrite true"):
        run(place, out, format=kind)
    if kind == "model":
        assert [each.name for each in out.iterdir()] == ["file"]
    else:
        assert out.read_bytes() == b"before"
    if kind != "onnx":  # as pt2
        run(place, out, format=kind, overwrite=True)
        assert (out / "model.json").exists() if kind == "model" else out.read_bytes() != b"before"


def test_a_file_that_differs_from_its_model_is_not_written(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_wrong(content: bytes, kind: Any) -> RunGraph:
        load = load_graph(content, kind)

        def wrong(*inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            probabilities, logits = load(*inputs)
            return probabilities[:, ::-1], logits

        return wrong

    monkeypatch.setattr(export, "load_graph", load_wrong)
    with pytest.raises(InputError, match=r"differs from the model random.*was not written"):
        run(place, tmp_path / "wrong.pt2", format="pt2")
    assert not (tmp_path / "wrong.pt2").exists()


def test_a_missing_package_is_named_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'hhmnet-ray\[export\]'"):
        run(tmp_path / "nothing", tmp_path / "out.onnx", format="onnx")


@pytest.mark.parametrize("kind", ["model", "pt2"])
def test_a_place_that_cannot_be_written_is_refused(kind: Any, place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        run(place, tmp_path / "file" / "out", format=kind)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onnx"}, "--out is missing"),
        ({"format": "pt2"}, "--out is missing"),
        ({"without_video": True}, "--without_video true makes another .*its folder as --out"),
        ({"views": 4}, "--views 4 makes another model: give its folder as --out"),
    ],
)
def test_options_that_lack_a_place_are_refused(
    options: dict[str, Any], message: str, place: Path
) -> None:
    with pytest.raises(InputError, match=message):
        run(place, "", **options)


@pytest.mark.parametrize("views", [0, 65])
def test_a_wrong_number_of_views_is_refused(views: int, place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--views must be 1 to 64, but is {views}"):
        run(place, tmp_path / "out", views=views)
    assert not (tmp_path / "out").exists()
