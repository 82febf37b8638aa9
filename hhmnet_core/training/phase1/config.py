"""Config of phase 1."""

from dataclasses import dataclass, field
from typing import Literal

from hhmnet_core.checks.bounds import MAX_SEED, check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.identity import later
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.training.optim import OptimConfig


@dataclass
class ContrastConfig:
    """Contrast between the modalities of a clip.

    Attributes:
        weight: Weight of the contrastive loss beside the cross-entropies. 0 switches it off.
        temperature: Temperature tau of InfoNCE; its initial value where it is learnt.
        learn_temperature: Whether each modality learns its own temperature; a pair of modalities
            uses the geometric mean of both.
        positives: Positives of a clip: "clip", the same clip in the other modality; "class", all
            clips of its class.
    """

    weight: float = 0.1
    temperature: float = 0.1
    learn_temperature: bool = False
    positives: Literal["clip", "class"] = "clip"

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise InputError(f"contrast.weight must be at least 0, but is {self.weight}.")
        if self.temperature <= 0:
            raise InputError(f"contrast.temperature must be above 0, but is {self.temperature}.")


@dataclass
class Phase1Config:
    """All that decides a result of phase 1.

    Attributes:
        data: Training data and the preparation of clips.
        model: Encoder of each modality.
        augment: Augmentation of the training clips.
        contrast: Contrast between the modalities of a clip.
        optim: Optimisation of each encoder.
        seed: Random seed for initialisation, sampling and augmentation.
        init_from: Model whose encoders the training starts from: its folder, or the name or folder
            of a finished run. The classifiers are new where its classes are others. Default: new
            weights.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    seed: int = 1
    init_from: str = later("")

    def __post_init__(self) -> None:
        check_bounds(self, "", seed=(0, MAX_SEED))
        if self.model.patch > self.data.frames:
            raise InputError(
                f"model.patch must be at most data.frames ({self.data.frames}), but is "
                f"{self.model.patch}."
            )
        augment = self.augment
        if self.data.whole_frames and augment.motion_share:
            raise InputError(
                f"augment.motion_share {augment.motion_share} reads positions between frames, but "
                "data.whole_frames is true: set augment.motion_share to 0, or data.whole_frames to "
                "false."
            )
        cut = augment.crop < 1 and not augment.random_frames
        if self.data.whole_frames and augment.views > 1 and cut:
            raise InputError(
                f"augment.views {augment.views} reads positions between frames, but "
                "data.whole_frames is true: set augment.views to 1, or augment.crop to 1."
            )
