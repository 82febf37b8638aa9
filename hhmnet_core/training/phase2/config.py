"""All that decides a result of phase 2."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.optim import OptimConfig


@dataclass
class GuidanceConfig:
    """The model level: where the skeleton makes the video network look.

    Attributes:
        mode: "learned": each joint counts as much as the frozen encoder finds it to decide;
            "uniform": all joints alike; "random": joints count at random, drawn once a clip;
            "off": no heat map.
        modality: The phase-1 encoder that guides and whose parts are distilled.
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
    """The feature level: contrast between body parts in the video and of the skeleton.

    Attributes:
        mode: "parts": part by part; "body": the whole body as one; "off".
        weight: Of the contrast beside the cross-entropy.
        temperature: tau of InfoNCE.
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
        data: What is trained on; how skeletons become model input, the phase-1 run says.
        video: The video network.
        guidance: The model level of fusion.
        parts: The feature level of fusion.
        augment: Training augmentation.
        optim: Optimisation.
        seed: Of everything random.
    """

    data: StoreConfig = field(default_factory=StoreConfig)
    video: VideoModelConfig = field(default_factory=VideoModelConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    parts: PartsConfig = field(default_factory=PartsConfig)
    augment: VideoAugmentConfig = field(default_factory=VideoAugmentConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(epochs=20, lr=3e-3))
    seed: int = 1

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, but is {self.seed}.")


def comparable(config: Phase2Config, guide: str) -> dict[str, object]:
    """The config as JSON knows it, without where the store lies, and the guide's digest."""
    plain: dict[str, object] = json.loads(
        json.dumps(asdict(replace(config, data=replace(config.data, store=""))))
    )
    return plain | {"guide": guide}
