"""Config of the training data and of how clips become model inputs."""

from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_core.store.protocols import VAL, check_selection

MOST_FRAMES = 2048


@dataclass
class StoreConfig:
    """What is trained on.

    Attributes:
        store: URI of the clip store (any fsspec URI).
        protocol: One of the store's protocols; empty: its first.
        selection: "val": whole subjects are carved from train and choose the epoch;
            "literature": train on everything, the last epoch counts; "fold-2-of-5": the second
            of five folds of the training subjects is held out and scored, the last epoch counts.
    """

    store: str = ""
    protocol: str = ""
    selection: str = VAL

    def __post_init__(self) -> None:
        check_selection(self.selection)


@dataclass
class DataConfig(StoreConfig):
    """What is trained on, and how clips become model input.

    Attributes:
        frames: T, the frames that a clip is resampled to.
        align: Turn each clip about the vertical so that the shoulders of its first body lie
            along x on average: removes the camera's view (3D layouts only).
        normalise_size: Divide each clip by the mean bone length of its first body.
        normalise_axes: Scale each axis of each clip to [-1, 1], after augmentation: neither a
            person's size nor how far they walk is left. As CTR-GCN's reader of NW-UCLA does, but
            by the T frames that are read, not by all.
    """

    frames: int = 48
    align: bool = False
    normalise_size: bool = False
    normalise_axes: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.frames <= MOST_FRAMES:
            raise InputError(f"data.frames must be 2 to {MOST_FRAMES}, but is {self.frames}.")
