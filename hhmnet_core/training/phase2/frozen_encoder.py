"""The phase-1 encoder that guides phase 2: read from a checkpoint, frozen, asked once a clip."""

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.joint_importance import Insight, look
from hhmnet_core.models.registry import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig, mirror
from hhmnet_core.skeleton.modalities import derive
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.trainer import make_encoder
from hhmnet_core.training.reports import read_state
from hhmnet_core.training.stream import scored_weights

ASKED_AT_ONCE = 64  # the gradient keeps the features of all layers


class FrozenEncoder:
    """A frozen encoder of a finished phase-1 run.

    Args:
        checkpoint: Folder of the run's last checkpoint.
        modality: Which of its encoders.
        clips: The clip set that phase 2 trains on.
        device: Where it is asked.

    Attributes:
        digest: Of its weights: another guide makes another run.
        config: Of its run.
        encoder: The encoder, in evaluation mode, without gradients.

    Raises:
        InputError: No checkpoint of phase 1, an unfinished run, or one of other skeletons.
    """

    def __init__(
        self, checkpoint: Path, modality: str, clips: ClipSet, device: torch.device
    ) -> None:
        self.modality = modality
        self.config = read_phase1(checkpoint, clips)
        tensors, self.digest = read_weights(checkpoint, modality)
        self.device = device
        self.encoder: Encoder = make_encoder(self.config, modality, clips).to(device)
        self.encoder.load_state_dict(scored_weights(tensors))
        self.encoder.to(torch.float32).eval().requires_grad_(False)
        self.reader = BatchReader(clips, self.config.data, device)

    def ask(self, clips_n: Tensor, mirrored: bool = False) -> Insight:
        """What it says of whole clips (n,), on the host; `mirrored` as in a mirror."""
        importance, parts = [], []
        layout = self.reader.layout
        most = self.reader.most_bodies
        for asked_n in clips_n.split(ASKED_AT_ONCE):
            batch = self.reader.whole(asked_n)
            joints = batch.joints_nctvm
            if mirrored:
                joints = mirror(joints, layout)
            x_nctvm = derive(joints, self.modality, layout)
            said = look(self.encoder, x_nctvm, batch.body_rows)
            padded = said.importance_nmtv.new_zeros(
                len(asked_n), most, *said.importance_nmtv.shape[2:]
            )
            padded[:, : said.importance_nmtv.shape[1]] = said.importance_nmtv
            importance.append(padded.cpu())
            parts.append(said.parts_npc.cpu())
        return Insight(torch.cat(importance), torch.cat(parts))


def read_phase1(checkpoint: Path, clips: ClipSet) -> Phase1Config:
    """The config of a finished phase-1 run on the skeletons of these clips.

    Raises:
        InputError: No checkpoint of phase 1, an unfinished run, or one of other skeletons.
    """
    state = read_state(checkpoint, "phase1")
    if state["digest"] != clips.skeletons:
        manifest = clips.manifest
        raise InputError(
            f"The phase-1 run of {checkpoint} was trained on other skeletons (digest "
            f"{state['digest'][:12]}, here {clips.skeletons[:12]}, {manifest.dataset}, layout "
            f"{manifest.layout}): train phase 1 on the skeletons that phase 2 reads; again, if "
            "it was trained before runs were bound to skeletons."
        )
    config = phase1_config(state["config"])
    done, epochs = len(state["history"]), config.optim.epochs
    if done < epochs:
        raise InputError(
            f"The phase-1 run of {checkpoint} is unfinished ({done} of {epochs} epochs): start it "
            "again with the same command, it goes on."
        )
    return config


def read_weights(checkpoint: Path, modality: str) -> tuple[dict[str, Tensor], str]:
    """What a checkpoint holds of a modality, and the sha256 (hex) of its file.

    Raises:
        InputError: A file that is missing or damaged; it is named.
    """
    file = checkpoint / f"{modality}.safetensors"
    try:
        content = file.read_bytes()
        return load(content), hashlib.sha256(content).hexdigest()
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{file} cannot be read ({error}): the phase-1 run is damaged; train it again."
        ) from error


def phase1_config(plain: dict[str, Any]) -> Phase1Config:
    """A phase-1 config of a checkpoint's plain values."""
    kinds: dict[str, Any] = {
        "data": DataConfig,
        "model": ModelConfig,
        "augment": AugmentConfig,
        "contrast": ContrastConfig,
        "optim": OptimConfig,
    }
    known = {field.name for field in fields(Phase1Config)}
    values = {name: value for name, value in plain.items() if name in known}
    for name, kind in kinds.items():
        values[name] = kind(**values[name])
    values["model"].branches = [tuple(branch) for branch in values["model"].branches]
    return Phase1Config(**values)
