"""The encoders of one process in training as one: each operation is done for all of them at once.

One after the other, four small encoders launch four times as many kernels, each too short to fill a
GPU. On a CPU, where launching costs nothing, threads that run one encoder each are faster
(`separate_encoders`).
"""

import os
import shutil
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import Batch
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.precision import arithmetic
from hhmnet_core.models.registry import encoder_type
from hhmnet_core.skeleton.modalities import Derivation
from hhmnet_core.training.flat_optimizer import FlatOptimizer
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.stream import Stream

COMPILER = "inductor"


def is_compiled(config: Phase1Config, device: torch.device) -> bool:
    """Return whether a config's encoders are compiled on a device.

    Raises InputError where they cannot be, but the config asks for it.
    """
    asked, name = config.optim.compile, config.model.name
    independent = encoder_type(name).batch_independent
    on_gpu = device.type == "cuda"
    variable, *names = ("CC", "gcc", "clang") if on_gpu else ("CXX", "g++", "clang++")
    compilers = (os.environ.get(variable), *names)
    has_compiler = any(each and shutil.which(each) for each in compilers)
    if asked and not independent:
        raise InputError(
            f"optim.compile is true, but model.name {name} normalises over the whole batch, which "
            "is not compiled: set it to false."
        )
    if asked and not has_compiler:
        raise InputError(
            "optim.compile is true, but there is no C compiler here (gcc or clang): install one, "
            "or set it to false."
        )
    return on_gpu and independent and has_compiler if asked is None else asked


class StackedEncoders:
    """Encodes batches with S encoders of one optimiser, each of whose clips is independent.

    Args:
        streams: The encoders in training.
        derive: Derives their modalities from joints.
        compiled: Whether they are compiled, anew for each shape of a batch.
    """

    def __init__(
        self, streams: Sequence[Stream[Encoder]], derive: Derivation, compiled: bool
    ) -> None:
        self._members = [stream.member for stream in streams]
        self._encoder, self._derive = streams[0].model, derive
        self._optimizer: FlatOptimizer = streams[0].optimizer
        self._precision = streams[0].config.precision
        self._models = [stream.model for stream in streams]
        self._buffers: dict[str, Tensor] = {}
        self._encode = self._encode_all
        if compiled:
            self._encode = torch.compile(
                self._encode_all, fullgraph=True, dynamic=False, backend=COMPILER
            )

    def encode(self, batch: Batch, drops_snd: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the logits (S, N, K) and embeddings (S, N, E) of clips in training.

        Args:
            batch: The clips.
            drops_snd: (N, D) uniform draws of each encoder.
        """
        self._encoder.train()
        if not self._buffers:  # not before: a checkpoint may have been loaded
            self._buffers = {
                name: torch.stack([model.get_buffer(name) for model in self._models])
                for name in self._encoder.statistics
            }
        return self._encode(batch.joints_nctvm, batch.body_rows, tuple(drops_snd))

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss of what `encode` returned."""
        loss.backward()

    def _encode_all(
        self, joints_nctvm: Tensor, body_rows: Tensor, drops_snd: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        def encode(
            tensors: dict[str, Tensor], x_nctvm: Tensor, draws_nd: Tensor
        ) -> tuple[Tensor, Tensor]:
            encoded = functional_call(self._encoder, tensors, (x_nctvm, body_rows, draws_nd))
            return encoded.logits_nk, encoded.embedding_ne

        x_snctvm = torch.stack([self._derive(joints_nctvm, member) for member in self._members])
        tensors = self._optimizer.parameters() | self._buffers
        with arithmetic(self._precision, joints_nctvm.device):
            logits_snk, embeddings_sne = vmap(encode)(tensors, x_snctvm, torch.stack(drops_snd))
        return logits_snk, embeddings_sne
