"""Folders of predictions, to which processes add."""

from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.parts import bind, finished_inputs, write_part
from hhmnet_platform.serving.predictions import Prediction

NAMES = ("wave", "walk")


def prediction(name: str, reason: str = "") -> Prediction:
    if reason:
        return Prediction(name, reason=reason)
    return Prediction(name, predicted="wave", confidence=0.9, probabilities=np.array([0.9, 0.1]))


def test_what_is_written_is_finished(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert finished_inputs(out) == {}
    write_part([prediction("a"), prediction("b", "it is damaged")], NAMES, out)
    write_part([prediction("c")], NAMES, out)
    assert finished_inputs(out) == {"a": "", "b": "it is damaged", "c": ""}


def test_the_same_recordings_take_their_own_place(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for _ in range(2):
        write_part([prediction("a"), prediction("b")], NAMES, out)
    assert len(list(Path(out).iterdir())) == 1


@pytest.mark.parametrize("name", ["notes.txt", "part-1.csv", "model.json"])
def test_other_files_are_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="a folder of its own"):
        finished_inputs(str(tmp_path))


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"part-1\.parquet in .* holds no predictions"):
        finished_inputs(str(tmp_path))


MADE = {"model": "m", "window": "2s", "recordings": {"a": "1", "b": "1"}}


def test_a_folder_is_bound_to_model_options_and_recordings(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    bind(out, MADE)
    bind(out, MADE)
    bind(out, MADE | {"recordings": {"b": "1", "c": "1"}})
    for changed, message in (
        ({"model": "other"}, "made with another model"),
        ({"window": "3s"}, "made with another window"),
        ({"recordings": {"a": "2"}}, "of other recordings: a have changed"),
        ({"recordings": {"c": "2"}}, "of other recordings: c have changed"),
    ):
        with pytest.raises(InputError, match=message):
            bind(out, MADE | changed)
    assert finished_inputs(out) == {}


def test_a_folder_of_other_files_is_not_bound(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="a folder of its own"):
        bind(str(tmp_path), MADE)
    (tmp_path / "predictions.json").write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        bind(str(tmp_path), MADE)
