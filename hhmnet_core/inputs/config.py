"""Config of the training data and of its conversion to model inputs."""

from dataclasses import dataclass
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.identity import later
from hhmnet_core.models.config import MAX_FRAMES
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.protocols import LAST_EPOCH, LITERATURE, VAL, check_selection


@dataclass
class StoreConfig:
    """The training data.

    Attributes:
        store: URI of the clip store, a folder or any fsspec URI. Default in training, also where a
            config file has an empty one: the guiding run's store, else the demo's.
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
            a person's size and the distance they walk.
        layout: Built-in skeleton layout that the clips are converted to, such as kinect_v1_20 for
            clips of kinect_v1_20_utd. Each worker then holds them in memory. Default: the store's.
        whole_frames: Reading of frames as they were recorded, in training and scoring: positions
            between two frames are rounded down, as CTR-GCN's reader of NW-UCLA does; it needs
            motion_share and augment.motion_share 0. Default: linear interpolation between the
            two frames.
        axes_extent: Frames whose smallest and largest coordinates normalise_axes scales by: "read",
            the T frames that are read; "clip", all frames of the clip, as CTR-GCN's reader does.
        align_by: Lines that `align` turns along x: "shoulders", the mean shoulder line; "torso",
            shoulders and hips, turned less where the frames of a clip contradict each other. A
            layout without hips has its shoulders alone.
        motion_step: Number of frames, of those that are read, that a motion spans: the difference
            of the frame so many later and this one. More than 1 raises the movement above the
            sensor's noise, which is as large between neighbours.
        motion_share: Share of motion, 0 to 1, in what the T frames are spaced by. 0: equal times.
            1: equal movements of the joints, so that it does not count how long a person rests. In
            between: a mixture. Training varies it by augment.motion_share.
    """

    frames: int = 48
    align: bool = False
    normalise_size: bool = False
    normalise_axes: bool = False
    layout: str = later("")
    whole_frames: bool = later(False)
    axes_extent: Literal["read", "clip"] = later("read")
    align_by: Literal["shoulders", "torso"] = later("shoulders")
    motion_step: int = later(1)
    motion_share: float = later(0.5, before=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout:
            get_layout(self.layout)
        if not 2 <= self.frames <= MAX_FRAMES:
            raise InputError(f"data.frames must be 2 to {MAX_FRAMES}, but is {self.frames}.")
        if not 1 <= self.motion_step < self.frames:
            raise InputError(
                f"data.motion_step must be 1 to {self.frames - 1}, one less than data.frames, but "
                f"is {self.motion_step}."
            )
        if not 0 <= self.motion_share <= 1:
            raise InputError(f"data.motion_share must be in [0, 1], but is {self.motion_share}.")
        if self.motion_share and self.whole_frames:
            raise InputError(
                f"data.motion_share {self.motion_share} reads positions between frames, but "
                "data.whole_frames is true: set data.motion_share to 0, or data.whole_frames to "
                "false."
            )
