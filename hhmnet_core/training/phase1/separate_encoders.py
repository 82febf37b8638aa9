"""The encoders of one process in training, each on its own, in parallel on the cores of a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hhmnet_core.inputs.batches import Batch
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.precision import arithmetic
from hhmnet_core.skeleton.modalities import Derivation
from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders
from hhmnet_core.training.stream import Stream


class SeparateEncoders:
    """Encodes batches with each of S encoders, and propagates the gradient of a loss to them.

    Args:
        streams: The encoders in training.
        derive: Derives their modalities from joints.
        parallel: Where they run.
    """

    def __init__(
        self, streams: Sequence[Stream[Encoder]], derive: Derivation, parallel: ParallelEncoders
    ) -> None:
        self._streams, self._derive, self._parallel = streams, derive, parallel
        self._outputs: list[tuple[Tensor, Tensor]] = []
        self._leaves: tuple[Tensor, ...] = ()

    def encode(self, batch: Batch, drops_snd: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the logits (S, N, K) and embeddings (S, N, E) of clips, as leaves of a graph.

        Args:
            batch: The clips.
            drops_snd: (N, D) uniform draws of each encoder.
        """

        def encode(index: int) -> tuple[Tensor, Tensor]:
            stream = self._streams[index]
            stream.model.train()
            x_nctvm = self._derive(batch.joints_nctvm, stream.member)
            with arithmetic(stream.config.precision, x_nctvm.device):
                encoded = stream.model(x_nctvm, batch.body_rows, drops_snd[index])
            return encoded.logits_nk, encoded.embedding_ne

        self._outputs = self._parallel.map(encode, range(len(self._streams)))
        # The loss ties the encoders together: it is differentiated first, on its own.
        logits_snk, embeddings_sne = self._leaves = tuple(
            torch.stack(each).detach().requires_grad_() for each in zip(*self._outputs, strict=True)
        )
        return logits_snk, embeddings_sne

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss of what `encode` returned last."""
        loss.backward()
        # Without contrast, the loss does not depend on the embeddings.
        given = [each.grad for each in self._leaves if each.grad is not None]

        def propagate(index: int) -> None:
            gradients = [each[index] for each in given]
            torch.autograd.backward(self._outputs[index][: len(gradients)], gradients)

        self._parallel.map(propagate, range(len(self._outputs)))
        self._outputs, self._leaves = [], ()
