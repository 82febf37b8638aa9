"""A network in training: optimiser, averaged weights, best weights, and its checkpoint file."""

import hashlib
from pathlib import Path
from typing import Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hhmnet_core.checks.memory import check_free_memory
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.training.checkpoints import CheckpointSummary, DamagedFileError, member_file
from hhmnet_core.training.flat_weights import FlatWeights
from hhmnet_core.training.optim import OptimConfig, clip_gradient, make_optimizer, update_average

Model = TypeVar("Model", bound=nn.Module)


class Stream(Generic[Model]):
    """A member's network in training.

    Args:
        member: Name of the member: a modality, or video.
        model: Network, on the device and in the precision of the training.
        config: Optimisation.

    Attributes:
        flat: All that scores depend on: weights, and the statistics of batch normalisation.
        average: Averaged weights by name; empty where none are kept.
        best: Weights of the best epoch so far by name; empty before one was chosen.
    """

    def __init__(self, member: str, model: Model, config: OptimConfig) -> None:
        self.member, self.model, self.config = member, model, config
        self.flat = flat = FlatWeights(model)
        decayed, others = (nn.Parameter(flat.row_p[part]) for part in flat.slices)
        decayed.grad, others.grad = (flat.gradient_q[part] for part in flat.slices)
        self._parts = decayed, others
        self.optimizer = make_optimizer(decayed, others, config)
        self._average_p = flat.row_p.clone()
        self.average = flat.views(self._average_p) if config.ema else {}
        self.best: dict[str, Tensor] = {}

    @property
    def evaluated(self) -> dict[str, Tensor]:
        """Weights that scores are computed with: the averaged ones where they are kept."""
        return self.average or self.flat.views(self.flat.row_p)

    def weights(self, best: bool) -> dict[str, Tensor]:
        """Return the best weights where asked for and chosen, else the evaluated ones."""
        return (self.best if best else {}) or self.evaluated

    def keep_best(self) -> None:
        """Keep a copy of the evaluated weights as the best ones."""
        self.best = {name: weight.clone() for name, weight in self.evaluated.items()}

    def update(self, rate: float, step: int) -> None:
        """Take an optimiser step.

        Args:
            rate: Learning rate.
            step: Number of the step, from 0 over the whole training.
        """
        clip_gradient(self.flat.gradient_q, self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.flat.gradient_q.zero_()
        if self.config.ema:
            update_average(self._average_p, self.flat.row_p, self.config.ema, step)

    def save(self, folder: Path) -> str:
        """Write `<member>.safetensors`: weights, optimiser state, averaged and best weights.

        Returns the sha256 (hex) of the file.
        """
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        for key, values in self._optimizer_state().items():
            tensors |= {f"optimizer/{key}/{name}": value for name, value in values.items()}
        tensors |= {f"average/{name}": weight for name, weight in self.average.items()}
        tensors |= {f"best/{name}": weight for name, weight in self.best.items()}
        # Copies: safetensors refuses views that share memory.
        content = save({n: t.cpu().clone() for n, t in tensors.items()})
        (folder / member_file(self.member)).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def load(self, folder: Path, summary: CheckpointSummary) -> None:
        """Restore what `save` wrote.

        Args:
            folder: Folder of the checkpoint.
            summary: Its summary.

        Raises:
            InputError: A file that is missing, damaged or of another network.
            AccessError: A file that cannot be read at present.
        """
        tensors, _ = read_tensors(folder, summary, self.member)
        file = folder / member_file(self.member)
        try:
            self.model.load_state_dict(_group(tensors, "model/"))
        except RuntimeError as error:
            raise InputError(
                f"Checkpoint file {file} does not fit the model that the config describes: "
                f"{str(error).splitlines()[-1].strip()} Use the config that it was trained with."
            ) from error
        for key in ("step", "exp_avg", "exp_avg_sq", "momentum_buffer"):
            if values := _group(tensors, f"optimizer/{key}/"):
                self._load_optimizer_state(key, values)
        if average := _group(tensors, "average/"):
            self._average_p.copy_(self.flat.row_of(average))
        device = self.flat.row_p.device
        self.best = {n: t.to(device) for n, t in _group(tensors, "best/").items()}

    def _optimizer_state(self) -> dict[str, dict[str, Tensor]]:
        """Return the state of the optimiser by its key, then by the name of a parameter."""
        decayed, others = (self.optimizer.state[part] for part in self._parts)
        state = {}
        for key, value in decayed.items():
            if value.dim():
                row_q = torch.cat([value, others[key]])
                state[key] = self.flat.views(row_q)
            else:  # the number of steps
                state[key] = dict.fromkeys(self.flat.views(self.flat.gradient_q), value)
        return state

    def _load_optimizer_state(self, key: str, values: dict[str, Tensor]) -> None:
        row_p, first = self.flat.row_of(values), next(iter(values.values()))
        for part, place in zip(self._parts, self.flat.slices, strict=True):
            value = row_p[place].clone() if first.dim() else first.to(row_p.device).clone()
            self.optimizer.state[part][key] = value


def read_tensors(
    folder: Path, summary: CheckpointSummary, member: str
) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a member's file in a checkpoint, and the sha256 (hex) of the file.

    Args:
        folder: Folder of the checkpoint.
        summary: Its summary.
        member: Name of the member: a modality, or video.

    Raises:
        InputError: A file that is missing or damaged.
        AccessError: A file that cannot be read at present.
    """
    file = folder / member_file(member)
    advice = "resume from another checkpoint, or train the run again."
    try:
        with local_access(file):
            # The file, the tensors that it is parsed into, and their copies.
            check_free_memory(3 * file.stat().st_size, f"Checkpoint file {file}")
            content = file.read_bytes()
        checksum = summary.check_file(file.name, content)
        return load(content), checksum
    except FileNotFoundError as error:
        raise InputError(f"Checkpoint file {file} is missing: {advice}") from error
    except (DamagedFileError, SafetensorError) as error:
        raise InputError(f"Checkpoint file {file} is damaged ({error}): {advice}") from error


def scored_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the network state of a saved file that scores are computed with.

    It holds the best epoch's weights, else the averaged ones, else the weights of the last step.
    """
    chosen = _group(tensors, "best/") or _group(tensors, "average/")
    return _group(tensors, "model/") | chosen


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
