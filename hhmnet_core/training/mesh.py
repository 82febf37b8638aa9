"""The modality mesh: W = D x P processes, P over modalities, D over data.

Rank r has data coordinate r // P and modality coordinate r % P; it hosts 4 / P encoders and works
on its share of every global batch. Without torch.distributed it is 1 x 1 and costs nothing.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES


def check_modality_parallel(workers: int, modality_parallel: int) -> None:
    """Raises InputError unless the modalities and the workers can be split so."""
    if modality_parallel not in (1, 2, 4):
        raise InputError(
            f"modality_parallel must be 1, 2 or 4 (there are {len(MODALITIES)} modalities to "
            f"split), but is {modality_parallel}."
        )
    if workers < 1 or workers % modality_parallel:
        raise InputError(
            f"{workers} workers cannot be split into groups of "
            f"modality_parallel={modality_parallel}: give a multiple of "
            f"{modality_parallel} workers."
        )


class Mesh:
    """Where this process stands among the others, and how it talks to them.

    Args:
        modality_parallel: P, one of 1, 2, 4; it divides the world size.
        device: Where tensors are exchanged.

    Raises InputError where P does not fit.
    """

    def __init__(self, modality_parallel: int = 1, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        distributed = dist.is_available() and dist.is_initialized()
        world = dist.get_world_size() if distributed else 1
        self.rank = dist.get_rank() if distributed else 0
        check_modality_parallel(world, modality_parallel)
        self.data, self.modality = world // modality_parallel, modality_parallel
        self.data_rank, self.modality_rank = divmod(self.rank, modality_parallel)
        hosted = len(MODALITIES) // modality_parallel
        self.hosted = slice(self.modality_rank * hosted, (self.modality_rank + 1) * hosted)
        self._world = world
        self._data_group: Any = None
        if self.data > 1:
            shape, names = (self.data, self.modality), ("data", "modality")
            mesh = init_device_mesh(self.device.type, shape, mesh_dim_names=names)
            self._data_group = mesh.get_group("data")

    @classmethod
    def alone(cls, modality_parallel: int) -> "Mesh":
        """The first process of a mesh without the others: it hosts as much, and talks to nobody."""
        mesh = cls()
        mesh.hosted = slice(0, len(MODALITIES) // modality_parallel)
        return mesh

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that this process hosts."""
        return MODALITIES[self.hosted]

    def rows(self, total: int) -> slice:
        """This process's share of `total` rows; shares differ by one row at most."""
        return slice(self.data_rank * total // self.data, (self.data_rank + 1) * total // self.data)

    def gather(self, local: Tensor, total: int) -> Tensor:
        """Everyone's rows of every modality: (4 / P, rows, ...) -> (4, total, ...), with gradient.

        Where modalities are not split (P = 1) the first dimension may be anything else, such as
        body parts.

        The caller computes the same loss from the result on every process: then the gradient of
        that one loss is, for each process, the part that belongs to its own rows. No gradient is
        summed over processes, and none is scaled by their number.
        """
        if self._world == 1:
            return local
        gathered: Tensor = _Gather.apply(local, self, total)  # type: ignore[no-untyped-call]
        return gathered

    def sum_by_modality(self, local: Tensor) -> Tensor:
        """Sums of every modality over the data, (4 / P, ...) -> (4, ...), without gradient."""
        if self._world == 1:
            return local
        whole = local.new_zeros(len(MODALITIES), *local.shape[1:])
        whole[self.hosted] = local
        dist.all_reduce(whole)
        return whole

    def sum_over_data(self, tensors: list[Tensor]) -> None:
        """Sums the tensors, in place, over the processes that host the same modalities."""
        if self.data == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat, group=self._data_group)
        for tensor, summed in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))


class _Gather(torch.autograd.Function):
    """Each process fills in its block of zeros; a sum over all makes it whole, exactly."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, mesh: Mesh, total: int) -> Tensor:
        first = mesh.modality_rank * len(local)
        ctx.block = (slice(first, first + len(local)), mesh.rows(total))
        whole = local.new_zeros(mesh.modality * len(local), total, *local.shape[2:])
        whole[ctx.block] = local
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0][ctx.block], None, None
