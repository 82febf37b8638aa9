"""Config of the training data and of its conversion to model inputs."""

from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_core.identity import later
from hhmnet_core.models.config import MAX_FRAMES
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.protocols import LAST_EPOCH, LITERATURE, VAL, check_selection


@dataclass
class StoreConfig:
    """The training data.

    Attributes:
        store: URI of the clip store, a folder or any fsspec URI. Default, also where a config file
            has an empty one: the guiding run's store, else the demo's.
        protocol: Name of a protocol of the store. Default: its first.
        selection: Choice of the epoch that is scored. "val": whole subjects of the training split
            are held out and choose it. "last_epoch" (also "literature"): train on all training
            clips, score the last epoch. "fold-2-of-5": hold out the second of five folds of the
            training subjects, score the last epoch on it.
        train_share: Share of the training clips that are trained on, in (0, 1], drawn at random
            from each class by the seed. Val and test stay whole.
    """

    store: str = ""
    protocol: str = ""
    selection: str = VAL
    train_share: float = later(1.0)

    def __post_init__(self) -> None:
        if self.selection == LAST_EPOCH:
            self.selection = LITERATURE  # runs have been named by the old spelling
        check_selection(self.selection)
        if not 0 < self.train_share <= 1:
            raise InputError(f"data.train_share must be in (0, 1], but is {self.train_share}.")


@dataclass
class DataConfig(StoreConfig):
    """The training data and its conversion to model inputs.

    Attributes:
        frames: Number of frames that each clip is resampled to (T).
        align: Rotation of each clip about the vertical, so that the shoulders of its first body
            lie along x on average. It removes the camera's view (3D layouts only).
        normalise_size: Division of each clip by the mean bone length of its first body.
        normalise_axes: Scaling of each axis of each clip to [-1, 1], after augmentation. It removes
            a person's size and the distance they walk. CTR-GCN's reader of NW-UCLA does the same by
            all frames, this one by the T frames that are read.
        layout: Built-in skeleton layout that the clips are converted to, such as kinect_v1_20 for
            clips of kinect_v1_20_utd. Each worker then holds them in memory. Default: the store's.
    """

    frames: int = 48
    align: bool = False
    normalise_size: bool = False
    normalise_axes: bool = False
    layout: str = later("")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout:
            get_layout(self.layout)
        if not 2 <= self.frames <= MAX_FRAMES:
            raise InputError(f"data.frames must be 2 to {MAX_FRAMES}, but is {self.frames}.")
