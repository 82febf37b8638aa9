"""The frozen phase-1 encoder that guides phase 2, and the checkpoint that it is read from."""

from pathlib import Path

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.joint_importance import ClipGuidance, compute_guidance
from hhmnet_core.notices import watched
from hhmnet_core.skeleton.augment import frame_positions, mirror
from hhmnet_core.skeleton.modalities import Derivation
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.checkpoints import read_summary
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import make_encoder
from hhmnet_core.training.stream import read_tensors, scored_weights

BATCH = 64  # the gradient keeps the features of all layers


class FrozenEncoder:
    """A frozen skeleton encoder, as it guides phase 2.

    Args:
        encoder: Trained encoder. It is moved to the device, in single precision, and frozen.
        config: Config of the phase-1 run that trained it.
        modality: Modality of the encoder.
        clips: Clips that it guides.
        device: Device of the encoder.
        digest: Digest of the encoder's checkpoint file, sha256 in hex: another guide makes another
            run. "" where no run is named by it.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: Phase1Config,
        modality: str,
        clips: ClipSet,
        device: torch.device,
        digest: str = "",
    ) -> None:
        self.config, self.modality, self.device, self.digest = config, modality, device, digest
        self.encoder = encoder.to(device, torch.float32).eval().requires_grad_(False)
        self.reader = BatchReader(clips, config.data, device)
        self.derive = Derivation(self.reader.layout, config.data.motion_step).to(device)

    @classmethod
    def read(
        cls, checkpoint: Path, modality: str, clips: ClipSet, device: torch.device
    ) -> "FrozenEncoder":
        """Return the encoder of a modality from a finished phase-1 run's last checkpoint.

        Raises:
            InputError: No checkpoint of phase 1, an unfinished run, or one of other skeletons.
        """
        config = read_phase1_config(checkpoint, clips)
        tensors, digest = read_tensors(checkpoint, read_summary(checkpoint, "phase1"), modality)
        encoder = make_encoder(config, modality, clips)
        encoder.load_state_dict(scored_weights(tensors))
        return cls(encoder, config, modality, clips, device, digest)

    def guidance(self, clips_n: Tensor, mirrored: bool = False) -> ClipGuidance:
        """Return the importance of joints and the features of parts, on the host.

        Args:
            clips_n: Indices of clips (N,), which are encoded whole.
            mirrored: Encode the clips mirrored.
        """
        importance, parts = [], []
        other_side_v = torch.tensor(self.reader.layout.mirror, device=self.device)
        for batch_n in watched(clips_n.split(BATCH), "guidance by the skeleton", len(clips_n), len):
            batch = self.reader.view(batch_n)
            joints = batch.joints_nctvm
            joints = mirror(joints, other_side_v) if mirrored else joints
            x_nctvm = self.derive(joints, self.modality)
            guidance = compute_guidance(self.encoder, x_nctvm, batch.body_rows)
            importance_nmtv = self._by_the_clock(guidance.importance_nmtv, batch_n)
            bodies, *frames_joints = importance_nmtv.shape[1:]
            padded = importance_nmtv.new_zeros(
                len(batch_n), self.reader.most_bodies, *frames_joints
            )
            padded[:, :bodies] = importance_nmtv
            importance.append(padded.cpu())
            parts.append(guidance.parts_npc.cpu())
        return ClipGuidance(torch.cat(importance), torch.cat(parts))

    def _by_the_clock(self, importance_nmtv: Tensor, clips_n: Tensor) -> Tensor:
        """Return importance at T evenly spaced frames, from that at the T frames that are read."""
        if not self.config.data.motion_share:
            return importance_nmtv
        frames = importance_nmtv.shape[2]
        even_nt = frame_positions(self.reader.num_frames(clips_n), frames)
        read_nt = self.reader.scored_positions(clips_n)
        nearest_nt = (read_nt[:, None] - even_nt[:, :, None]).abs().argmin(2)
        rows_n1 = torch.arange(len(nearest_nt))[:, None]
        at_frames_ntmv = importance_nmtv.transpose(1, 2)[rows_n1, nearest_nt.to(self.device)]
        return at_frames_ntmv.transpose(1, 2)


def read_phase1_config(checkpoint: Path, clips: ClipSet) -> Phase1Config:
    """Return the config of a finished phase-1 run on the skeletons of these clips.

    Raises:
        InputError: No checkpoint of phase 1, an unfinished run, or one of other skeletons.
    """
    summary = read_summary(checkpoint, "phase1")
    if summary.digest != clips.skeletons:
        manifest = clips.manifest
        raise InputError(
            f"The phase-1 run of {checkpoint} was trained on other skeletons (digest "
            f"{summary.digest[:12]}, here {clips.skeletons[:12]}, {manifest.dataset}, layout "
            f"{manifest.layout}): train phase 1 on the skeletons that phase 2 reads; train it "
            "again if it dates from before runs were bound to skeletons."
        )
    config = from_json(Phase1Config, summary.own_config)
    done, epochs = len(summary.progress.history), config.optim.epochs
    if done < epochs:
        raise InputError(
            f"The phase-1 run of {checkpoint} is unfinished ({done} of {epochs} epochs): start it "
            "again with the same command to resume it."
        )
    return config
