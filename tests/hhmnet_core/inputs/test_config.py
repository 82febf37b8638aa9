"""Config of the training data."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig, StoreConfig


@pytest.mark.parametrize("frames", [1, 1_000_000])
def test_frames_out_of_reach_are_named(frames: int) -> None:
    with pytest.raises(InputError, match=f"data.frames must be 2 to 2048, but is {frames}"):
        DataConfig(frames=frames)


def test_last_epoch_is_stored_under_its_old_spelling() -> None:
    assert StoreConfig(selection="last_epoch") == StoreConfig(selection="literature")
    assert StoreConfig(selection="last_epoch").selection == "literature"
    assert DataConfig(selection="last_epoch").selection == "literature"


@pytest.mark.parametrize("selection", ["best", "fold-6-of-5", "fold-1-of-1", ""])
def test_unknown_selection_is_refused(selection: str) -> None:
    with pytest.raises(InputError, match="Unknown selection"):
        StoreConfig(selection=selection)
