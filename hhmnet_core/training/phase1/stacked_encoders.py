"""The encoders of one process as one: each operation is done for all of them at once.

One after the other, four small encoders launch four times as many kernels, each too short to fill a
GPU. On a CPU, where launching costs nothing, threads that run one encoder each are faster
(`parallel_encoders`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from hhmnet_core.models.encoder import Encoder
from hhmnet_core.training.flat_optimizer import FlatOptimizer

_OWN_BUFFERS = ("input_mean", "input_std")


class StackedEncoders:
    """Encodes batches of S modalities, with gradient for the parameters of an optimiser.

    Args:
        encoders: S encoders of equal shape, each of whose clips is encoded independently.
        optimizer: Their optimiser.
    """

    def __init__(self, encoders: Sequence[Encoder], optimizer: FlatOptimizer) -> None:
        self._encoder, self._optimizer = encoders[0], optimizer
        self._buffers = {
            name: torch.stack([encoder.get_buffer(name) for encoder in encoders])
            for name in _OWN_BUFFERS
        }

    def encode(
        self, x_snctvm: Tensor, body_rows: Tensor, draws_snd: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the logits (S, N, K) and embeddings (S, N, E) of clips in training.

        Args:
            x_snctvm: (S, N, C, T, V, M) clips in each modality.
            body_rows: (R,) the bodies that are present, as indices into N * M, ordered by clip.
            draws_snd: (S, N, D) uniform draws.
        """
        self._encoder.train()

        def encode(
            tensors: dict[str, Tensor], x_nctvm: Tensor, draws_nd: Tensor
        ) -> tuple[Tensor, Tensor]:
            encoded = functional_call(self._encoder, tensors, (x_nctvm, body_rows, draws_nd))
            return encoded.logits_nk, encoded.embedding_ne

        tensors = self._optimizer.parameters() | self._buffers
        logits_snk, embedding_sne = vmap(encode)(tensors, x_snctvm, draws_snd)
        return logits_snk, embedding_sne
