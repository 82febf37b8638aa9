"""The modality mesh: W = D x P processes, P over modalities, D over data.

The process at place r has data coordinate r // P and modality coordinate r % P; it hosts 4 / P
encoders and works on its share of every global batch. Without torch.distributed it is 1 x 1 and
costs nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

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


def packed(nodes: Sequence[str], group: int) -> list[int]:
    """An order of processes in which as many groups as can lie on one node each.

    Args:
        nodes: Of each process, by rank.
        group: Processes in a group.

    Returns:
        Ranks: the first `group` of them are the first group, and so on.
    """
    by_node: dict[str, list[int]] = {}
    for rank, node in enumerate(nodes):
        by_node.setdefault(node, []).append(rank)
    whole: list[int] = []
    left: list[int] = []
    for ranks in by_node.values():
        cut = len(ranks) // group * group
        whole += ranks[:cut]
        left += ranks[cut:]
    return whole + left


class Mesh:
    """Where this process stands among the others, and how it talks to them.

    Args:
        modality_parallel: P, one of 1, 2, 4; it divides the world size.
        device: Where tensors are exchanged.
        nodes: The node of each process, by rank: the P processes that share a part of the data
            are then chosen on one node where they fit; without, by rank.

    Attributes:
        rank: This process's place in the mesh; torch's rank where it was not given nodes.
        sharers: Processes that share the memory of this one's device: on a CPU those of its node,
            all where no nodes were given; a GPU is one process's own.

    Raises InputError where P does not fit.
    """

    def __init__(
        self,
        modality_parallel: int = 1,
        device: torch.device | None = None,
        nodes: Sequence[str] | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        distributed = dist.is_available() and dist.is_initialized()
        world = dist.get_world_size() if distributed else 1
        check_modality_parallel(world, modality_parallel)
        nodes = nodes or [""] * world
        order = packed(nodes, modality_parallel)
        own = dist.get_rank() if distributed else 0
        self.rank = order.index(own)
        self.sharers = nodes.count(nodes[own]) if self.device.type == "cpu" else 1
        self.data, self.modality = world // modality_parallel, modality_parallel
        self.data_rank, self.modality_rank = divmod(self.rank, modality_parallel)
        hosted = len(MODALITIES) // modality_parallel
        self.hosted = slice(self.modality_rank * hosted, (self.modality_rank + 1) * hosted)
        self._world = world
        self._data_group: Any = None
        if self.data > 1:
            places = torch.tensor(order).view(self.data, self.modality)
            mesh = DeviceMesh(self.device.type, places, mesh_dim_names=("data", "modality"))
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

    def most(self, values: list[float]) -> list[float]:
        """The largest of each value over all processes."""
        if self._world == 1:
            return values
        found = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        largest: list[float] = found.tolist()
        return largest

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
