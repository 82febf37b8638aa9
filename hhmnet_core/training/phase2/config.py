"""Config of phase 2."""

from dataclasses import dataclass, field
from typing import Literal

from hhmnet_core.checks.bounds import MAX_SEED, check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.optim import OptimConfig


@dataclass
class GuidanceConfig:
    """Guidance of the video network by the skeleton: the model level of fusion.

    Attributes:
        mode: Weights of the joints in the heat map: "learned", their importance to the frozen
            encoder; "uniform", all equal; "random", drawn once per clip; "off", no heat map.
        modality: Modality of the phase-1 encoder that guides and whose part features are distilled.
    """

    mode: Literal["learned", "uniform", "random", "off"] = "learned"
    modality: str = "joint"

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise InputError(
                f"guidance.modality must be one of {', '.join(MODALITIES)}, but is "
                f"{self.modality!r}."
            )


@dataclass
class PartsConfig:
    """Contrast between body parts in the video and in the skeleton: the feature level of fusion.

    Attributes:
        mode: Features that are contrasted: "parts", each body part with itself; "body", the whole
            body as one; "off", none.
        weight: Weight of the part contrast beside the cross-entropy. 0 switches it off.
        temperature: Temperature tau of InfoNCE.
    """

    mode: Literal["parts", "body", "off"] = "parts"
    weight: float = 0.2
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise InputError(f"parts.weight must be at least 0, but is {self.weight}.")
        if self.temperature <= 0:
            raise InputError(f"parts.temperature must be above 0, but is {self.temperature}.")


@dataclass
class Phase2Config:
    """All that decides a result of phase 2, beside the phase-1 run that guides it.

    Attributes:
        data: Training data. The phase-1 run decides how skeletons are prepared.
        video: Video network.
        guidance: Guidance of the video network by the skeleton (model level of fusion).
        parts: Contrast between body parts in video and skeleton (feature level of fusion).
        augment: Augmentation of the training videos.
        optim: Optimisation of the video network.
        seed: Random seed for initialisation, sampling and augmentation.
    """

    data: StoreConfig = field(default_factory=StoreConfig)
    video: VideoModelConfig = field(default_factory=VideoModelConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    parts: PartsConfig = field(default_factory=PartsConfig)
    augment: VideoAugmentConfig = field(default_factory=VideoAugmentConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(epochs=20, lr=3e-3))
    seed: int = 1

    def __post_init__(self) -> None:
        check_bounds(self, "", seed=(0, MAX_SEED))
        if self.optim.compile:
            raise InputError(
                "optim.compile is true, but the video network of phase 2 is not compiled: leave "
                "the option out."
            )
