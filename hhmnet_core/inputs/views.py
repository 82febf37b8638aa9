"""Views of clips: the versions of a clip whose logits are averaged when it is scored.

Clips are trained on in many versions; scoring a few of them as well is the field's multi-clip
testing. The first view is the clip itself. The others spread evenly (Sobol's sequence) over half of
what training draws from, so that nothing is scored that training did not show. Where training draws
frames from whole clips, each view has a draw of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from hhmnet_core.randomness import keyed_generator
from hhmnet_core.skeleton.augment import (
    AugmentConfig,
    Change,
    frame_positions,
    frames_of_shares,
    rotation,
)
from hhmnet_core.skeleton.layouts import Layout


@dataclass(frozen=True)
class View:
    """A version of clips.

    Attributes:
        start: Share of a clip that lies before the view.
        length: Share of a clip that the view has.
        motion_share: Change of `data.motion_share`.
        yaw: Rotation about the vertical, in radians.
        draw: Number of a draw of whole frames, with repetition and in order. 0: evenly spaced.
    """

    start: float = 0.0
    length: float = 1.0
    motion_share: float = 0.0
    yaw: float = 0.0
    draw: int = 0

    def positions(self, num_frames_n: Tensor, frames: int, whole: bool = False) -> Tensor:
        """Return the T frame positions of the view in each clip, (N, T) float32, in rising order.

        Args:
            num_frames_n: (N,) number of frames of each clip, long.
            frames: The number T of positions, 2 or more.
            whole: Round positions down to whole frames; the view is then a whole clip.
        """
        if self.draw:
            return frames_of_shares(self.shares(frames, num_frames_n.device), num_frames_n)
        if self.length == 1:
            return frame_positions(num_frames_n, frames, whole)
        last_n1 = (num_frames_n - 1).to(torch.float32)[:, None]
        return last_n1 * self.shares(frames, num_frames_n.device)

    def shares(self, frames: int, device: torch.device | None = None) -> Tensor:
        """Return the positions (T,) as shares of a clip's length."""
        if self.draw:
            drawn_t = torch.rand(frames, generator=keyed_generator("view", self.draw))
            return drawn_t.sort().values.to(device)
        return self.start + self.length * torch.linspace(0.0, 1.0, frames, device=device)

    def shared_motion(self, motion_share: float) -> float:
        """Return the view's share of motion, from that of the config."""
        return min(1.0, max(0.0, motion_share + self.motion_share))

    def change(self, clips: int, layout: Layout, device: torch.device) -> Change | None:
        """Return what turns N clips, on a device. None: the view is not turned."""
        if not self.yaw:
            return None
        turn_ncc = self.turn().expand(clips, -1, -1).to(device)
        return Change(turn_ncc, None, torch.tensor(layout.mirror, device=device), None)

    def turn(self) -> Tensor:
        """Return the rotation (1, 3, 3)."""
        return rotation(torch.tensor([[0.0, self.yaw, 0.0]]))


WHOLE = View()


def scored_views(config: AugmentConfig, layout: Layout) -> list[View]:
    """Return the views of each clip that are scored: `config.views` of them, like ones once.

    Args:
        config: The augmentation of the training.
        layout: Layout of the skeletons. Those in the plane are not turned.
    """
    crop = 1.0 if config.random_frames else config.crop
    yaw = math.radians(config.yaw) if layout.channels == 3 else 0.0
    views = [WHOLE]
    points_k4 = SobolEngine(4).draw(config.views)[1:]  # the first one is the clip itself
    for number, (cut, start, turned, moved) in enumerate(points_k4.tolist(), 1):
        length = 1 - cut * (1 - crop) / 2
        views.append(
            View(
                start=start * (1 - length),
                length=length,
                motion_share=(moved - 0.5) * config.motion_share,
                yaw=(turned - 0.5) * yaw,
                draw=number if config.random_frames else 0,
            )
        )
    return list(dict.fromkeys(views))


def mean_of_views(logits: Sequence[Tensor]) -> Tensor:
    """Return the mean of the logits (N, K) of views; those of one view are left as they are."""
    return logits[0] if len(logits) == 1 else torch.stack(list(logits)).mean(0)
