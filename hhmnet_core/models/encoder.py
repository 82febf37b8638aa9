"""What every skeleton encoder shares: bodies in, standardised; pooled features, two heads out.

Shapes: N clips, R clip bodies that are present, T frames, V joints, M bodies, C channels, K
classes, E embedding.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.skeleton.layouts import Layout


@dataclass(frozen=True)
class Encoded:
    """Of a batch: class logits (N, K) and embeddings (N, E) of norm 1/sqrt(tau)."""

    logits_nk: Tensor
    embedding_ne: Tensor


class Encoder(nn.Module, ABC):
    """A skeleton encoder with a classifier and a head for the contrastive loss.

    A subclass gives `forward_features`. Input is standardised by `input_mean` and `input_std`,
    buffers that the training sets: motion is a hundredth of position in size, and behind a
    LayerNorm that would drown it in the biases.

    Args:
        layout: The skeleton.
        num_classes: K.
        width: C of the features.
        embedding: E.
        temperature: tau of the contrastive loss. Embeddings leave with norm 1/sqrt(tau), so that
            the product of two is their cosine over the (geometric mean) temperature.
        learn_temperature: Whether tau is a parameter.

    Attributes:
        batch_independent: Whether the encoding of a clip depends on that clip alone. An encoder
            that normalises over the batch needs the whole batch on one worker.
        settings: Fields of ModelConfig that the encoder reads, beside `name`.
    """

    batch_independent: ClassVar[bool]
    settings: ClassVar[frozenset[str]]

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        layout: Layout,
        num_classes: int,
        width: int,
        embedding: int,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("input_mean", torch.zeros(layout.num_joints, layout.channels))
        self.register_buffer("input_std", torch.ones(()))
        self.classifier = nn.Linear(width, num_classes)
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, embedding)
        )
        log_temperature = torch.tensor(math.log(temperature))
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_temperature)
        else:
            self.register_buffer("log_temperature", log_temperature)

    @property
    def num_draws(self) -> int:
        """Uniform draws that a clip needs in training."""
        return 0

    @torch.no_grad()
    def standardise(self, mean_vc: Tensor, std: Tensor) -> None:
        """Sets what input is standardised by: a mean (V, C) and one standard deviation."""
        self.input_mean.copy_(mean_vc)
        self.input_std.copy_(std if std > 0 else torch.ones_like(std))

    @abstractmethod
    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        """Features (R, T', V, C) of standardised bodies (R, T, V, C_in)."""

    def drop_features(self, pooled_nc: Tensor, draws_nd: Tensor | None) -> Tensor:
        """What the classifier sees of the pooled features (N, C)."""
        return pooled_nc

    def forward(
        self, x_nctvm: Tensor, body_rows: Tensor | None = None, draws_nd: Tensor | None = None
    ) -> Encoded:
        """Encodes clips.

        Args:
            x_nctvm: (N, C, T, V, M) of one modality.
            body_rows: (R,) the bodies that are present, as indices into N * M, ordered by clip;
                None: all.
            draws_nd: (N, num_draws) uniform draws, in training; None: nothing is dropped.

        Raises InputError where V or C are not the layout's.
        """
        clips, channels, _, joints, bodies = x_nctvm.shape
        self.layout.check(joints, channels, "Model input")
        x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)
        if body_rows is None:
            body_rows = torch.arange(clips * bodies, device=x_nctvm.device)
        elif bodies > 1:
            x_rtvc = x_rtvc[body_rows]
        clip_of_row = body_rows // bodies
        draws_rd = None if draws_nd is None else draws_nd[clip_of_row]
        x_rtvc = (x_rtvc - self.input_mean) / self.input_std
        pooled_rc = self.forward_features(x_rtvc, draws_rd).mean((1, 2))
        if bodies > 1:
            present = torch.zeros(clips, 1, dtype=pooled_rc.dtype, device=pooled_rc.device)
            present.index_add_(0, clip_of_row, torch.ones_like(pooled_rc[:, :1]))
            summed = pooled_rc.new_zeros(clips, pooled_rc.shape[1])
            pooled_nc = summed.index_add(0, clip_of_row, pooled_rc) / present
        else:
            pooled_nc = pooled_rc
        embedding = F.normalize(self.projector(pooled_nc), dim=1) * torch.exp(
            -0.5 * self.log_temperature
        )
        return Encoded(self.classifier(self.drop_features(pooled_nc, draws_nd)), embedding)
