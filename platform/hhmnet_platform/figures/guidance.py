"""Where the skeleton makes the video network look, drawn onto the images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.heat_maps import heat_map, importance_at_images, joint_gaussians
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder

CELLS = 28  # of the drawn heat map; finer than the network's grid, so that one sees the joints
CLIPS = 6


def guidance_figure(
    checkpoint: Path,
    modality: str,
    clips: ClipSet,
    footage: Footage,
    candidates: Sequence[int],
) -> Figure:
    """A row a clip, of different classes: its images, the heat map, the skeleton.

    Args:
        checkpoint: Of the phase-1 run that guides.
        modality: Of its encoder that guides.
        clips: The data.
        footage: Its videos.
        candidates: Clips that may be shown; those with a video are.
    """
    guide = FrozenEncoder(checkpoint, modality, clips, torch.device("cpu"))
    chosen = _different(clips, [index for index in candidates if footage.has_video_n[index]])
    shown_n = torch.tensor(chosen)
    joints = torch.from_numpy(footage.joints_nmfv2[chosen])
    frames = joints.shape[2]
    importance = importance_at_images(
        guide.guidance(shown_n).importance_nmtv,
        torch.from_numpy(footage.positions_nf[chosen]),
        torch.from_numpy(clips.num_frames[chosen]),
    )
    heat = heat_map(importance, joint_gaussians(joints, (frames, CELLS, CELLS))).numpy()
    layout = clips.manifest.skeleton
    figure = Figure(figsize=(1.6 * frames, 1.8 * len(chosen)), layout="constrained")
    figure.suptitle(
        f"where the {modality} encoder's decision hangs on the skeleton: bright is most"
    )
    rows = figure.subplots(len(chosen), frames, squeeze=False)
    for row, clip, heat_fhw, joints_mfv2 in zip(rows, chosen, heat, joints.numpy(), strict=True):
        for at, axis in enumerate(row):
            axis.imshow(footage.decode(clip)[at], extent=(0, 1, 1, 0))
            axis.imshow(
                heat_fhw[at], extent=(0, 1, 1, 0), cmap="inferno", alpha=0.55, vmin=0,
                vmax=float(heat_fhw.max()), interpolation="bilinear",
            )  # fmt: skip
            for body in joints_mfv2[:, at]:
                for child, parent in layout.bones:
                    axis.plot(*body[[child, parent]].T, color="white", linewidth=0.6)
            axis.set(xlim=(0, 1), ylim=(1, 0))
            axis.set_axis_off()
        name = clips.manifest.class_names[int(clips.labels[clip])]
        row[0].set_title(f"{name}\n{clips.sample_ids[clip]}", fontsize=7)
    return figure


def _different(clips: ClipSet, candidates: Sequence[int]) -> list[int]:
    """Of as many classes as there are rows, spread evenly over them."""
    first: dict[int, int] = {}
    for index in candidates:
        first.setdefault(int(clips.labels[index]), index)
    labels = sorted(first)
    taken = np.linspace(0, len(labels) - 1, min(CLIPS, len(labels))).round().astype(int)
    return [first[labels[at]] for at in taken]
