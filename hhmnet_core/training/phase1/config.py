"""All that decides a result of phase 1."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.registry import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.training.optim import OptimConfig


@dataclass
class ContrastConfig:
    """Contrast between the modalities of a clip.

    Attributes:
        weight: Of the contrastive loss beside the cross-entropies; 0 switches it off.
        temperature: tau of InfoNCE, or where it starts.
        learn_temperature: Whether each modality learns its own; a pair takes the geometric mean.
        positives: "clip": the same clip in the other modality; "class": all clips of its class.
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
        data: What is trained on.
        model: The encoders.
        augment: Training augmentation.
        contrast: Contrast between modalities.
        optim: Optimisation.
        seed: Of everything random.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, but is {self.seed}.")
        if self.model.patch > self.data.frames:
            raise InputError(
                f"model.patch must be at most data.frames ({self.data.frames}), but is "
                f"{self.model.patch}."
            )


def comparable(config: Phase1Config) -> dict[str, object]:
    """The config as JSON knows it, without where the store lies."""
    plain: dict[str, object] = json.loads(
        json.dumps(asdict(replace(config, data=replace(config.data, store=""))))
    )
    return plain
