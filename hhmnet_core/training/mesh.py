"""The modality mesh: W = D x P processes, D over data and P over modalities.

The process of rank r has data coordinate r // P and modality coordinate r % P. It hosts 4 / P
encoders and trains on its share of every global batch. Without torch.distributed the mesh is 1 x 1
and costs nothing.
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
    """Check that P = `modality_parallel` divides the modalities and the workers.

    Raises InputError where it does not.
    """
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


def pack_groups(nodes: Sequence[str], size: int) -> list[int]:
    """Return an order of ranks in which as many groups as possible lie on one node each.

    Args:
        nodes: Node of each process, by rank.
        size: Processes in a group.

    Returns:
        Ranks: the first `size` of them are the first group, and so on.
    """
    by_node: dict[str, list[int]] = {}
    for rank, node in enumerate(nodes):
        by_node.setdefault(node, []).append(rank)
    whole_groups: list[int] = []
    remaining: list[int] = []
    for ranks in by_node.values():
        end = len(ranks) // size * size
        whole_groups += ranks[:end]
        remaining += ranks[end:]
    return whole_groups + remaining


class Mesh:
    """This process's coordinates among the others, and its collective operations.

    Args:
        modality_parallel: P, one of 1, 2, 4; it divides the world size.
        device: Device on which tensors are exchanged. Default: the CPU.
        nodes: Node of each process, by rank: P processes that share a share of the data are chosen
            on one node where possible. Default: all on one node.

    Attributes:
        rank: Rank of this process in the mesh; torch's rank where all processes are on one node.
        sharers: Number of processes that share the memory of this one's device: on a CPU those of
            its node, on a GPU this one alone.
        data: D, the number of processes that a global batch is split over.
        data_rank: This process's coordinate among them.
        modality: P, the number of processes that the modalities are split over.
        modality_rank: This process's coordinate among them.
        trained: Modalities that all processes train together.
        hosted: Slice of `trained` that this process hosts.

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
        order = pack_groups(nodes, modality_parallel)
        own = dist.get_rank() if distributed else 0
        self.rank = order.index(own)
        self.sharers = nodes.count(nodes[own]) if self.device.type == "cpu" else 1
        self.data, self.modality = world // modality_parallel, modality_parallel
        self.data_rank, self.modality_rank = divmod(self.rank, modality_parallel)
        self.trained: tuple[str, ...] = MODALITIES
        hosted = len(MODALITIES) // modality_parallel
        self.hosted = slice(self.modality_rank * hosted, (self.modality_rank + 1) * hosted)
        self._world = world
        self._data_group: Any = None
        if self.data > 1:
            ranks = torch.tensor(order).view(self.data, self.modality)
            mesh = DeviceMesh(self.device.type, ranks, mesh_dim_names=("data", "modality"))
            self._data_group = mesh.get_group("data")

    @classmethod
    def alone(cls, modality_parallel: int) -> "Mesh":
        """Return the first process of a 1 x P mesh without the others.

        It hosts 4 / P encoders and communicates with no process, as a step is timed.
        """
        mesh = cls()
        mesh.hosted = slice(0, len(MODALITIES) // modality_parallel)
        return mesh

    @classmethod
    def of(cls, modalities: Sequence[str]) -> "Mesh":
        """Return a mesh of this process alone that trains only some modalities.

        Without contrast, each of their networks is the one that training all four gives.

        Args:
            modalities: Names of the modalities, in any order.

        Raises InputError for an unknown modality, one given twice, or none.
        """
        unknown = [name for name in modalities if name not in MODALITIES]
        if unknown or not modalities or len(set(modalities)) < len(modalities):
            raise InputError(
                f"modalities must be different ones of {', '.join(MODALITIES)}, but are "
                f"{list(modalities)}."
            )
        mesh = cls()
        mesh.trained = tuple(name for name in MODALITIES if name in modalities)
        mesh.hosted = slice(0, len(modalities))
        return mesh

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that this process hosts."""
        return self.trained[self.hosted]

    def rows(self, total: int) -> slice:
        """Return this process's share of `total` rows; shares differ by one row at most."""
        return slice(self.data_rank * total // self.data, (self.data_rank + 1) * total // self.data)

    def gather(self, local: Tensor, total: int) -> Tensor:
        """Gather the rows of all processes, with gradient: (4 / P, rows, ...) -> (4, total, ...).

        Where modalities are not split (P = 1), the first dimension may be anything else, such as
        body parts.

        Every process has to compute the same loss from the result. The gradient that a process gets
        is then that of this one loss with respect to its own rows. No gradient is summed over
        processes, and none is scaled by their number.
        """
        if self._world == 1:
            return local
        gathered: Tensor = _Gather.apply(local, self, total)  # type: ignore[no-untyped-call]
        return gathered

    def sum_by_modality(self, local: Tensor) -> Tensor:
        """Sum each modality over the data, without gradient: (4 / P, ...) -> (4, ...)."""
        if self._world == 1:
            return local
        whole = local.new_zeros(len(MODALITIES), *local.shape[1:])
        whole[self.hosted] = local
        dist.all_reduce(whole)
        return whole

    def maximum(self, values: list[float]) -> list[float]:
        """Return the largest of each value over all processes."""
        if self._world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        largest: list[float] = tensor.tolist()
        return largest

    def union(self, values: dict[str, str]) -> dict[str, str]:
        """Return the entries of all processes' dictionaries."""
        if self._world == 1:
            return values
        gathered: list[Any] = [None] * self._world
        dist.all_gather_object(gathered, values)
        return {key: value for each in gathered for key, value in each.items()}

    def sum_over_data(self, tensors: list[Tensor]) -> None:
        """Sum tensors, in place, over the processes that host the same modalities."""
        if self.data == 1 or not tensors:
            return
        if len(tensors) == 1:
            dist.all_reduce(tensors[0], group=self._data_group)
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat, group=self._data_group)
        for tensor, summed in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))


class _Gather(torch.autograd.Function):
    """Gathers by a sum of blocks that are zero outside of each process's rows: exact."""

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
