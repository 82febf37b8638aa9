"""Heat maps of the guidance, drawn onto the images of a few clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.heat_maps import heat_map, importance_at_images, joint_gaussians
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_platform.presentation.drawing import short_name

HEAT_MAP_SIZE = 28  # rows and columns; finer than the network's grid, to show single joints
NUM_CLIPS = 6


def guidance_figure(
    checkpoint: Path,
    modality: str,
    clips: ClipSet,
    footage: Footage,
    candidates: Sequence[int],
) -> Figure:
    """Draw images, heat map and skeleton of up to six clips of different classes, a row per clip.

    Args:
        checkpoint: Folder of the checkpoint of the phase-1 run that guides.
        modality: Modality of the encoder that guides.
        clips: Clips of the store.
        footage: Videos of the clips.
        candidates: Indices of clips to choose from. Clips without video are left out.
    """
    guide = FrozenEncoder.read(checkpoint, modality, clips, torch.device("cpu"))
    filmed = [index for index in candidates if footage.has_video_n[index]]
    chosen = _one_per_class(clips, filmed)
    shown_n = torch.tensor(chosen)
    joints = torch.from_numpy(footage.joints_nmfv2[chosen])
    frames = joints.shape[2]
    importance = importance_at_images(
        guide.guidance(shown_n).importance_nmtv,
        torch.from_numpy(footage.positions_nf[chosen]),
        torch.from_numpy(clips.num_frames[chosen]),
    )
    gaussians = joint_gaussians(joints, (frames, HEAT_MAP_SIZE, HEAT_MAP_SIZE))
    heat = heat_map(importance, gaussians).numpy()
    layout = clips.manifest.skeleton
    figure = Figure(figsize=(1.6 * frames, 1.8 * len(chosen)), layout="constrained")
    figure.suptitle(
        f"Importance of joints for the decision of the {modality} encoder: bright is high"
    )
    rows = figure.subplots(len(chosen), frames, squeeze=False)
    for row, clip, heat_fhw, joints_mfv2 in zip(rows, chosen, heat, joints.numpy(), strict=True):
        images = footage.decode(clip)
        for frame, axis in enumerate(row):
            axis.imshow(images[frame], extent=(0, 1, 1, 0))
            axis.imshow(
                heat_fhw[frame], extent=(0, 1, 1, 0), cmap="inferno", alpha=0.55, vmin=0,
                vmax=float(heat_fhw.max()), interpolation="bilinear",
            )  # fmt: skip
            for body in joints_mfv2[:, frame]:
                for child, parent in layout.bones:
                    axis.plot(*body[[child, parent]].T, color="white", linewidth=0.6)
            axis.set(xlim=(0, 1), ylim=(1, 0))
            axis.set_axis_off()
        name = short_name(clips.manifest.class_names[int(clips.labels[clip])])
        row[0].set_title(f"{name}\n{short_name(str(clips.sample_ids[clip]))}", fontsize=7)
    return figure


def _one_per_class(clips: ClipSet, candidates: Sequence[int]) -> list[int]:
    """Return the first clip of each of up to six classes, which are spread evenly over all."""
    first: dict[int, int] = {}
    for index in candidates:
        first.setdefault(int(clips.labels[index]), index)
    labels = sorted(first)
    chosen = np.linspace(0, len(labels) - 1, min(NUM_CLIPS, len(labels))).round().astype(int)
    return [first[labels[index]] for index in chosen]
