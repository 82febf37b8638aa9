"""A network in training: optimiser, averaged weights, best weights, and its checkpoint file."""

import hashlib
from pathlib import Path
from typing import Generic, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hhmnet_core.checks.memory import check_free_memory
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.training.checkpoints import CheckpointSummary, DamagedFileError, member_file
from hhmnet_core.training.flat_optimizer import FlatOptimizer
from hhmnet_core.training.optim import OptimConfig

Model = TypeVar("Model", bound=nn.Module)


class Stream(Generic[Model]):
    """A member's network in training.

    Args:
        member: Name of the member: a modality, or video.
        model: Network, on the device and in the precision of the training.
        config: Optimisation.
        optimizer: Optimiser of several networks, this one among them. None: its own.
        index: Number of the network among those of the optimiser.

    Attributes:
        average: Averaged weights by name; empty where none are kept.
        best: Weights of the best epoch so far by name; empty before one was chosen.
    """

    def __init__(
        self,
        member: str,
        model: Model,
        config: OptimConfig,
        optimizer: FlatOptimizer | None = None,
        index: int = 0,
    ) -> None:
        self.member, self.model, self.config = member, model, config
        self.optimizer, self.index = optimizer or FlatOptimizer([model], config), index
        weights = self.optimizer.weights
        self._learnt = weights.views(weights.memory_p, index)
        self.average = weights.views(self.optimizer.average_p, index) if config.ema else {}
        self.best: dict[str, Tensor] = {}

    @property
    def evaluated(self) -> dict[str, Tensor]:
        """Weights that scores are computed with: the averaged ones where they are kept."""
        return self.average or self._learnt

    def weights(self, best: bool) -> dict[str, Tensor]:
        """Return the best weights where asked for and chosen, else the evaluated ones."""
        return (self.best if best else {}) or self.evaluated

    def keep_best(self) -> None:
        """Keep a copy of the evaluated weights as the best ones."""
        self.best = {name: weight.clone() for name, weight in self.evaluated.items()}

    def save(self, folder: Path) -> str:
        """Write `<member>.safetensors`: weights, optimiser state, averaged and best weights.

        Returns the sha256 (hex) of the file.
        """
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        for key, values in self.optimizer.state(self.index).items():
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
                self.optimizer.load_state(self.index, key, values)
        weights = self.optimizer.weights
        if average := _group(tensors, "average/"):
            weights.fill(self.optimizer.average_p, self.index, average)
        device = weights.memory_p.device
        self.best = {n: t.to(device) for n, t in _group(tensors, "best/").items()}


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
