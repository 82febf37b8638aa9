"""Names of checkpoints sort by progress, and are read back."""

from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    checkpoint_name,
    is_checkpoint,
    is_within_epoch,
    parse_checkpoint_name,
)

POINTS = [
    TrainingPoint(0, 9),
    TrainingPoint(1),
    TrainingPoint(1, 2),
    TrainingPoint(1, 10),
    TrainingPoint(2),
    TrainingPoint(10, 3),
    TrainingPoint(11),
]


def test_names_sort_by_progress_and_are_read_back() -> None:
    names = [checkpoint_name(point) for point in POINTS]
    assert names == sorted(names) and sorted(POINTS) == POINTS
    assert [parse_checkpoint_name(f"runs/some/{name}") for name in names] == POINTS


def test_points_are_described_in_words() -> None:
    assert str(TrainingPoint(2)) == "after epoch 2"
    assert str(TrainingPoint(2, 70)) == "within epoch 3, after step 70"


def test_checkpoints_are_told_apart_from_other_folders() -> None:
    assert is_checkpoint("epoch-00002") and not is_checkpoint("scores")
    assert not is_checkpoint("epoch-00002/../../other") and not is_checkpoint("epoch-last")
    assert is_within_epoch("epoch-00001-step-0000040")
    assert not is_within_epoch("epoch-00001") and not is_within_epoch("figures-step-1")
