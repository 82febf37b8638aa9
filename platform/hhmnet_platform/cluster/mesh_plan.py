"""The mesh of workers that trains a run."""

from dataclasses import dataclass, replace

from hhmnet_core.checks.parsing import is_whole_number
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.mesh import check_modality_parallel
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.presentation.labels import counted

MAX_DEFAULT_CPU_WORKERS = len(MODALITIES)
MAX_WORKERS = 100_000
MAX_DEFAULT_CPUS_PER_GPU = 8
LARGEST_DIVISOR = "the largest of 4, 2, 1 that divides their number"


@dataclass(frozen=True)
class MeshPlan:
    """A mesh of W = D x P workers (data-parallel x modality-parallel); W may be a range.

    Attributes:
        sizes: Each W that the run may have, ascending; one where W is fixed.
        fixed_modality_parallel: P. None: the largest of 4, 2, 1 that divides W.
        gpu: Whether each worker has a GPU.
        cpus_per_worker: CPU cores, and torch threads, of a worker.
        networks: Number of networks trained in all: one per modality in phase 1, one in phase 2.
    """

    sizes: tuple[int, ...]
    fixed_modality_parallel: int | None
    gpu: bool
    cpus_per_worker: int
    networks: int = len(MODALITIES)

    @property
    def is_elastic(self) -> bool:
        return len(self.sizes) > 1

    @property
    def workers(self) -> int:
        """W; the largest of a range."""
        return self.sizes[-1]

    @property
    def modality_parallel(self) -> int:
        """P at the largest W."""
        return self.modality_parallel_at(self.workers)

    @property
    def data_parallel(self) -> int:
        """D at the largest W."""
        return self.workers // self.modality_parallel

    def modality_parallel_at(self, workers: int) -> int:
        """Return P at a W."""
        return self.fixed_modality_parallel or next(p for p in (4, 2, 1) if workers % p == 0)

    def at_size(self, workers: int) -> "MeshPlan":
        """Return the plan with a fixed W."""
        return replace(self, sizes=(workers,))

    def extremes(self) -> list["MeshPlan"]:
        """Return the plan at its smallest and at its largest W; itself where W is fixed."""
        return [self.at_size(workers) for workers in sorted({self.sizes[0], self.sizes[-1]})]

    def largest_size_within(self, capacity: int) -> int:
        """Return the largest W within a capacity; 0 where even the smallest W exceeds it."""
        return max((size for size in self.sizes if size <= capacity), default=0)

    def limit_data_parallel(self, max_data_parallel: int) -> "MeshPlan":
        """Return the plan without the sizes whose D is larger; a fixed W is left to the trainer.

        Raises InputError where none remains.
        """
        if not self.is_elastic:
            return self
        sizes = tuple(
            size
            for size in self.sizes
            if size // self.modality_parallel_at(size) <= max_data_parallel
        )
        if not sizes:
            raise InputError(
                f"This model and batch can be split over {max_data_parallel} data-parallel "
                f"workers, but {self.sizes[0]} to {self.sizes[-1]} workers are more: give fewer "
                "--workers or another --modality_parallel."
            )
        return replace(self, sizes=sizes)

    def __str__(self) -> str:
        device = "GPU" if self.gpu else "CPU"
        if self.is_elastic:
            modality = self.fixed_modality_parallel or LARGEST_DIVISOR
            return f"{self._range(device)}; modality-parallel: {modality}"
        hosted = self.networks // self.modality_parallel
        return (
            f"{counted(self.workers, f'{device} worker')}: {self.data_parallel} data-parallel x "
            f"{self.modality_parallel} modality-parallel; {counted(hosted, 'network')} and "
            f"{counted(self.cpus_per_worker, 'CPU')} per worker"
        )

    def _range(self, device: str) -> str:
        """Return the sizes as text: as a range where they are evenly spaced by P."""
        smallest, step = self.sizes[0], self.fixed_modality_parallel or 1
        if self.sizes != tuple(range(smallest, self.workers + 1, step)):
            return f"{', '.join(map(str, self.sizes[:-1]))} or {self.workers} {device} workers"
        steps = f" in steps of {step}" if step > 1 else ""
        return f"{smallest} to {self.workers} {device} workers{steps}"


def make_plan(
    resources: Resources,
    *,
    workers: int | str | None = None,
    modality_parallel: int | None = None,
    gpu: bool | None = None,
    cpus_per_worker: int | None = None,
    networks: int = len(MODALITIES),
) -> MeshPlan:
    """Return the mesh of a run, with defaults for options that are None.

    Args:
        resources: CPUs and GPUs to run on.
        workers: W, or "MIN:MAX". Default: one per GPU; without GPUs one per CPU, up to four.
        modality_parallel: P. Default: the largest of 4, 2, 1 that divides W.
        gpu: Whether to use GPUs. Default: if there are any.
        cpus_per_worker: CPU cores of a worker. Default: an equal share of each node, and at most
            eight beside a GPU.
        networks: Number of networks trained in all.

    Raises InputError where the settings contradict each other or exceed the resources.
    """
    if modality_parallel is not None:
        check_modality_parallel(modality_parallel, modality_parallel)
    sizes = parse_workers(workers, modality_parallel)
    if cpus_per_worker is not None and cpus_per_worker < 1:
        raise InputError(f"cpus_per_worker must be at least 1, but is {cpus_per_worker}.")
    if gpu and not resources.has_gpus:
        raise InputError(f"--gpu true was given, but {resources}.")
    use_gpu = resources.has_gpus if gpu is None else gpu
    capacity = resources.capacity_when_grown(cpus_per_worker or 1, use_gpu)
    if not sizes:
        step = modality_parallel or 1
        most = max(capacity if use_gpu else min(MAX_DEFAULT_CPU_WORKERS, capacity), 1)
        sizes = (max(most // step, 1) * step,)
    if sizes[0] > capacity:
        share = f"{cpus_per_worker or 1} CPU" + (" and a GPU" if use_gpu else "")
        raise InputError(
            f"{counted(sizes[0], 'worker')} of {share} {'does' if sizes[0] == 1 else 'do'} not "
            f"fit: {resources}, room for {capacity}. Give fewer --workers."
        )
    if cpus_per_worker is None:
        # Sizes beyond the capacity are left out: the nodes that they need are unknown.
        largest = max(size for size in sizes if size <= capacity)
        cpus_per_worker = _share_of_cpus(resources, largest, use_gpu)
    return MeshPlan(sizes, modality_parallel, use_gpu, cpus_per_worker, networks)


def parse_workers(workers: int | str | None, modality_parallel: int | None) -> tuple[int, ...]:
    """Return each number of workers in "N" or "MIN:MAX" that P divides; () for None.

    Raises InputError for other text, and where P divides no number of the range.
    """
    if workers is None:
        return ()
    text, step = str(workers), modality_parallel or 1
    smallest, colon, largest = text.partition(":")
    if not is_whole_number(smallest) or (colon and not is_whole_number(largest)):
        raise InputError(f"workers must be a number or MIN:MAX, such as 2:8, but is {text[:80]}.")
    low, high = int(smallest), int(largest or smallest)
    if low < 1:
        raise InputError(f"workers must be at least 1, but is {text}.")
    if high < low:
        raise InputError(f"workers must be MIN:MAX with the smaller first, but is {text}.")
    if high > MAX_WORKERS:
        raise InputError(f"workers must be at most {MAX_WORKERS}, but is {text}.")
    if not colon:
        check_modality_parallel(low, step)
    sizes = tuple(size for size in range(low, high + 1) if size % step == 0)
    if not sizes:
        raise InputError(
            f"No number of workers in {text} can be split into groups of "
            f"modality_parallel={step}: give a range with a multiple of {step} in it."
        )
    return sizes


def _share_of_cpus(resources: Resources, workers: int, gpu: bool) -> int:
    """Return the largest number of CPUs per worker with which all workers fit."""
    most = max(cpus for cpus, _ in (*resources.nodes, *resources.nodes_when_grown))
    most = min(most, MAX_DEFAULT_CPUS_PER_GPU) if gpu else most
    return next(
        cpus for cpus in range(most, 0, -1) if resources.capacity_when_grown(cpus, gpu) >= workers
    )
