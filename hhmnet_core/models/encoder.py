"""The base of all skeleton encoders: standardised bodies in, class logits and an embedding out.

Shapes: N clips, R bodies that are present in the clips, T frames, T' frames of the features, V
joints, M bodies, C channels, K classes, E embedding, D random draws.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.layouts import Layout


@dataclass(frozen=True)
class Encoded:
    """The outputs of an encoder for a batch.

    Attributes:
        logits_nk: (N, K) class logits.
        embedding_ne: (N, E) embeddings of norm 1/sqrt(temperature), so that the product of two is
            their cosine similarity over the (geometric mean) temperature.
    """

    logits_nk: Tensor
    embedding_ne: Tensor


class Encoder(nn.Module, ABC):
    """A skeleton encoder with a classifier and a projector for the contrastive loss.

    The input is standardised by the buffers `input_mean` and `input_std`, which training sets:
    motion values are about a hundredth of position values, and without this a LayerNorm would see
    little but its layer's bias.

    Args:
        config: Size of the encoder.
        layout: Skeleton layout; gives V and the input channels.
        num_classes: K.
        temperature: Temperature of the contrastive loss, above 0.
        learn_temperature: Whether the temperature is a parameter.

    Attributes:
        batch_independent: Whether the encoding of a clip depends on that clip alone. An encoder
            that normalises over the batch needs the whole batch on one worker.
        settings: Fields of ModelConfig that the encoder reads, besides `name`.
        statistics: Names of the buffers that hold statistics of the training clips.
    """

    batch_independent: ClassVar[bool]
    settings: ClassVar[frozenset[str]]
    statistics: tuple[str, ...] = ("input_mean", "input_std")
    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        config: ModelConfig,
        layout: Layout,
        num_classes: int,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        width = self.feature_width(config)
        self.register_buffer("input_mean", torch.zeros(layout.num_joints, layout.channels))
        self.register_buffer("input_std", torch.ones(()))
        self.classifier = nn.Linear(width, num_classes)
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.embedding)
        )
        log_temperature = torch.tensor(math.log(temperature))
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_temperature)
        else:
            self.register_buffer("log_temperature", log_temperature)

    @staticmethod
    @abstractmethod
    def feature_width(config: ModelConfig) -> int:
        """Return C, the channels of the features."""

    @property
    def num_draws(self) -> int:
        """D, the number of uniform draws that each clip needs in training."""
        return 0

    @torch.no_grad()
    def standardise(
        self, mean_vc: Tensor, std: Tensor, context_std_g: Tensor | None = None
    ) -> None:
        """Set what standardises the input.

        Args:
            mean_vc: (V, C) mean of the input.
            std: () its standard deviation.
            context_std_g: (G,) those of its context. None: that is not scaled.
        """
        self.input_mean.copy_(mean_vc)
        self.input_std.copy_(std if std > 0 else torch.ones_like(std))

    def context(self, x_rtvc: Tensor) -> Tensor:
        """Return the G differences (G, R, T, V, C) that the network reads beside its input."""
        return x_rtvc.new_empty(0, *x_rtvc.shape)

    @abstractmethod
    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        """Return the features (R, T', V, C) of standardised bodies.

        Args:
            x_rtvc: (R, T, V, C of the input).
            draws_rd: (R, D) uniform draws in training. Default: no dropout.
        """

    def pool(self, x_rtvc: Tensor, draws_rd: Tensor | None = None) -> Tensor:
        """Return the mean features (R, C) of bodies (R, T, V, C of the input)."""
        x_rtvc = (x_rtvc - self.input_mean) / self.input_std
        return self.forward_features(x_rtvc, draws_rd).mean((1, 2))

    def drop_features(self, pooled_nc: Tensor, draws_nd: Tensor | None) -> Tensor:
        """Apply dropout to the pooled features (N, C) before the classifier."""
        return pooled_nc

    def forward(
        self, x_nctvm: Tensor, body_rows: Tensor | None = None, draws_nd: Tensor | None = None
    ) -> Encoded:
        """Encode clips.

        Args:
            x_nctvm: (N, C, T, V, M) clips of one modality.
            body_rows: (R,) the bodies that are present, as indices into N * M, ordered by clip.
                Default: all bodies.
            draws_nd: (N, D) uniform draws in training. Default: no dropout.

        Raises InputError if V or C differ from the layout's.
        """
        pooled_nc = self._pool_clips(x_nctvm, body_rows, draws_nd)
        embedding = F.normalize(self.projector(pooled_nc), dim=1) * torch.exp(
            -0.5 * self.log_temperature
        )
        return Encoded(self.classifier(self.drop_features(pooled_nc, draws_nd)), embedding)

    def logits(self, x_nctvm: Tensor, body_rows: Tensor | None = None) -> Tensor:
        """Return the logits (N, K) alone, without dropout. Arguments are those of `forward`."""
        logits_nk: Tensor = self.classifier(self._pool_clips(x_nctvm, body_rows, None))
        return logits_nk

    def _pool_clips(
        self, x_nctvm: Tensor, body_rows: Tensor | None, draws_nd: Tensor | None
    ) -> Tensor:
        """Return the mean features (N, C) of clips."""
        clips, channels, _, joints, bodies = x_nctvm.shape
        self.layout.check(joints, channels, "Model input")
        x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)
        if body_rows is None:
            body_rows = torch.arange(clips * bodies, device=x_nctvm.device)
        elif bodies > 1:
            x_rtvc = x_rtvc[body_rows]
        clip_of_row = body_rows // bodies
        draws_rd = None if draws_nd is None else draws_nd[clip_of_row]
        pooled_rc = self.pool(x_rtvc, draws_rd)
        return _mean_of_bodies(pooled_rc, clip_of_row, clips) if bodies > 1 else pooled_rc


def _mean_of_bodies(pooled_rc: Tensor, clip_of_row: Tensor, clips: int) -> Tensor:
    """Return the mean over the present bodies of each clip: (R, C) -> (N, C)."""
    dtype, device = pooled_rc.dtype, pooled_rc.device
    ones_r1 = torch.ones(clip_of_row.shape[0], 1, dtype=dtype, device=device)
    present_n1 = ones_r1.new_zeros(clips, 1).index_add(0, clip_of_row, ones_r1)
    summed_nc = ones_r1.new_zeros(clips, pooled_rc.shape[1]).index_add(0, clip_of_row, pooled_rc)
    return summed_nc / present_n1
