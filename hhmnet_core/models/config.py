"""The config of a skeleton encoder."""

from dataclasses import dataclass, field
from typing import Literal

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.identity import later

MAX_WIDTH, MAX_BLOCKS = 4096, 64
MAX_BRANCHES, MAX_KERNEL = 16, 255
MAX_FRAMES = 2048

Difference = Literal["body", "parent", "next"]


@dataclass
class ModelConfig:
    """Kind and size of a skeleton encoder.

    Attributes:
        widths: Channels of each block. The number of frames is halved where they grow.
        heads: Number of attention heads. Each of `widths` must be a multiple of twice this number.
        patch: Number of frames that the stem joins into one.
        segments: Number of temporal segments from which attention scores are computed.
        mask: Whether attention (RE-DMT) has its dynamic mask.
        kept_ratio: Share of the keys that the mask of RE-DMT version 1 keeps, in (0, 1].
        rerank: Whether attention scores are re-ranked by k-reciprocal neighbours.
        k1: Size of the reciprocal neighbourhoods in the re-ranking, in joints.
        k2: Number of neighbours that the re-ranking averages (its local query expansion).
        branches: (kernel, dilation) of each temporal branch (SK-TC). One branch is a plain
            convolution.
        select: Whether the temporal branches are weighted by learned selection; otherwise they are
            averaged.
        drop_path: Probability of dropping the last block in training (stochastic depth). It grows
            linearly from 0 at the first block.
        dropout: Dropout probability before the classifier.
        embedding: Size of the embeddings that the contrastive loss compares.
        joint_scale: Standard deviation of the initial joint embedding, which tells the joints
            apart. The stem's outputs have about 0.2 to 0.6.
        attention: Whether RE-DMT has dynamic attention; otherwise its static map is alone, and
            there is no re-ranking.
        context: Differences that the stem reads beside each joint's values, each scaled to
            deviation 1: "body", to the mean over the joints of the frame; "parent", to the parent
            joint; "next", of the next frame to this one.
        re_dmt: Version of RE-DMT: 2, or 1 as in runs from before version 2 existed.
        name: Encoder: ST&ST ("stst"), or one of the baselines ST-GCN ("st_gcn") and CTR-GCN
            ("ctr_gcn"). The baselines have the size of their papers and read `embedding` only.
    """

    widths: list[int] = field(default_factory=lambda: [64, 64, 128, 128, 192])
    heads: int = 16
    patch: int = 4
    segments: int = 4
    mask: bool = True
    kept_ratio: float = 0.5
    rerank: bool = True
    k1: int = 6
    k2: int = 3
    branches: list[tuple[int, int]] = field(default_factory=lambda: [(3, 1), (5, 1)])
    select: bool = True
    drop_path: float = 0.1
    dropout: float = 0.1
    embedding: int = 128
    joint_scale: float = later(0.5, before=0.02)
    attention: bool = later(True)
    context: list[Difference] = later(lambda: ["body", "parent", "next"], before=[])
    re_dmt: Literal[1, 2] = later(2, before=1)
    name: Literal["stst", "st_gcn", "ctr_gcn"] = "stst"

    def __post_init__(self) -> None:
        check_bounds(
            self,
            "model.",
            widths=(1, MAX_WIDTH),
            heads=(1, 64),
            patch=(1, MAX_FRAMES),
            segments=(1, MAX_FRAMES),
            k1=(1, 1024),
            k2=(1, 1024),
            embedding=(1, MAX_WIDTH),
            joint_scale=(0, 100),
        )
        num_blocks, num_branches = len(self.widths), len(self.branches or ())
        if num_blocks > MAX_BLOCKS or num_branches > MAX_BRANCHES:
            raise InputError(
                f"model.widths and model.branches have {num_blocks} and {num_branches} entries, "
                f"expected at most {MAX_BLOCKS} and {MAX_BRANCHES}."
            )
        if not self.widths or any(width % (2 * self.heads) for width in self.widths):
            raise InputError(
                f"model.widths must be multiples of twice model.heads ({self.heads}), "
                f"but are {self.widths}."
            )
        if len(set(self.context)) < len(self.context):
            raise InputError(f"model.context names a difference twice: {' '.join(self.context)}.")
        if not 0 < self.kept_ratio <= 1:
            raise InputError(f"model.kept_ratio must be in (0, 1], but is {self.kept_ratio}.")
        if self.re_dmt != 1 and self.kept_ratio != type(self).kept_ratio:
            raise InputError(
                f"model.kept_ratio {self.kept_ratio} needs model.re_dmt 1: the mask of version "
                f"{self.re_dmt} has no such share."
            )
        if self.re_dmt == 1 and not self.attention:
            raise InputError("model.attention false needs model.re_dmt 2, but model.re_dmt is 1.")
        for name in ("drop_path", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"model.{name} must be in [0, 1), but is {getattr(self, name)}.")
        if not self.branches or any(
            kernel % 2 == 0 or not 1 <= min(kernel, dilation) <= max(kernel, dilation) <= MAX_KERNEL
            for kernel, dilation in self.branches
        ):
            given = " ".join(f"[{kernel},{dilation}]" for kernel, dilation in self.branches or ())
            raise InputError(
                f"model.branches needs pairs of odd kernels and dilations of 1 to {MAX_KERNEL}, "
                f"such as [3,1] [5,1], but is {given or 'empty'}."
            )
