"""How a run is laid out on what there is."""

from dataclasses import dataclass, replace

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.mesh import check_modality_parallel
from hhmnet_platform.cluster.resources import Resources

MOST_CPU_WORKERS = len(MODALITIES)
MOST_WORKERS = 100_000
MOST_CPUS_BESIDE_A_GPU = 8


@dataclass(frozen=True)
class MeshPlan:
    """How a run is laid out: W = D x P workers, where W may change while it runs.

    Attributes:
        sizes: The W that it may have, ascending; one where it is fixed.
        given: P, or None: the largest of 4, 2, 1 that divides W.
        gpu: Whether each worker has a GPU.
        cpus_per_worker: CPU cores, and torch threads, of a worker.
        networks: That are trained in all: one a modality in phase 1, one in phase 2.
    """

    sizes: tuple[int, ...]
    given: int | None
    gpu: bool
    cpus_per_worker: int
    networks: int = len(MODALITIES)

    @property
    def is_elastic(self) -> bool:
        return len(self.sizes) > 1

    @property
    def workers(self) -> int:
        """W; the largest where it may change."""
        return self.sizes[-1]

    @property
    def modality_parallel(self) -> int:
        """P of the largest W."""
        return self.split(self.workers)

    @property
    def data_parallel(self) -> int:
        """D of the largest W."""
        return self.workers // self.modality_parallel

    def split(self, workers: int) -> int:
        """P of so many workers."""
        return self.given or next(p for p in (4, 2, 1) if workers % p == 0)

    def of(self, workers: int) -> "MeshPlan":
        """The plan while there are so many workers."""
        return replace(self, sizes=(workers,))

    def ends(self) -> list["MeshPlan"]:
        """The smallest and the largest; itself where it is fixed."""
        return [self.of(workers) for workers in sorted({self.sizes[0], self.sizes[-1]})]

    def fitting(self, possible: int) -> int:
        """The largest of its sizes for which there is room; 0 where there is for none."""
        return max((size for size in self.sizes if size <= possible), default=0)

    def limited(self, most_data: int) -> "MeshPlan":
        """Without the sizes whose D is above this; a fixed one stays as it is.

        Raises InputError where none is left.
        """
        if not self.is_elastic:
            return self
        sizes = tuple(size for size in self.sizes if size // self.split(size) <= most_data)
        if not sizes:
            raise InputError(
                f"This model and batch can be split over {most_data} data-parallel workers, but "
                f"{self.sizes[0]} to {self.sizes[-1]} workers are more: give fewer --workers or "
                "another --modality_parallel."
            )
        return replace(self, sizes=sizes)

    def __str__(self) -> str:
        device = "GPU" if self.gpu else "CPU"
        if self.is_elastic:
            least, apart = self.sizes[0], self.given or 1
            numbers = f"{least} to {self.workers}"
            if self.sizes != tuple(range(least, self.workers + 1, apart)):
                numbers = f"{', '.join(map(str, self.sizes[:-1]))} or {self.workers}"
            elif apart > 1:
                numbers += f", in steps of {apart},"
            rule = f"P {self.given}" if self.given else "P the largest of 4, 2, 1 that divides W"
            return f"{numbers} {device} workers, W = D x P, {rule}"
        hosted = self.networks // self.modality_parallel
        return (
            f"{self.workers} {device} worker{'s' if self.workers > 1 else ''} = "
            f"{self.data_parallel} (data) x {self.modality_parallel} (modality), "
            f"{hosted} network{'s' if hosted > 1 else ''} each, "
            f"{self.cpus_per_worker} CPU{'s' if self.cpus_per_worker > 1 else ''} each"
        )


def make_plan(
    resources: Resources,
    *,
    workers: int | str | None = None,
    modality_parallel: int | None = None,
    gpu: bool | None = None,
    cpus_per_worker: int | None = None,
    networks: int = len(MODALITIES),
) -> MeshPlan:
    """Fills in what the user left open.

    Args:
        resources: What there is.
        workers: W, or "MIN:MAX"; by default one a GPU, else one a CPU up to four.
        modality_parallel: P; by default the largest of 4, 2, 1 that divides W.
        gpu: Whether to use GPUs; by default where there are any.
        cpus_per_worker: By default an equal share of each node.
        networks: That are trained in all.

    Raises InputError where the parts do not fit each other, or the cluster.
    """
    if modality_parallel is not None:
        check_modality_parallel(modality_parallel, modality_parallel)
    sizes = sizes_of(workers, modality_parallel)
    if cpus_per_worker is not None and cpus_per_worker < 1:
        raise InputError(f"cpus_per_worker must be at least 1, but is {cpus_per_worker}.")
    if gpu and not resources.has_gpus:
        raise InputError(f"--gpu true was given, but {resources}.")
    use_gpu = resources.has_gpus if gpu is None else gpu
    room = resources.most_room(cpus_per_worker or 1, use_gpu)
    if not sizes:
        group = modality_parallel or 1
        most = max(room if use_gpu else min(MOST_CPU_WORKERS, room), 1)
        sizes = (max(most // group, 1) * group,)
    if sizes[0] > room:
        each = f"{cpus_per_worker or 1} CPU" + (" and a GPU" if use_gpu else "")
        raise InputError(
            f"{sizes[0]} workers of {each} do not fit: {resources}, room for {room}. "
            "Give fewer --workers."
        )
    if cpus_per_worker is None:
        # Of sizes that do not fit yet it is not known on what they will.
        fit_now = [size for size in sizes if size <= room]
        most = max(cpus for cpus, _ in (*resources.nodes, *resources.at_most))
        most = min(most, MOST_CPUS_BESIDE_A_GPU) if use_gpu else most
        cpus_per_worker = next(
            cpus for cpus in range(most, 0, -1) if resources.most_room(cpus, use_gpu) >= fit_now[-1]
        )
    return MeshPlan(sizes, modality_parallel, use_gpu, cpus_per_worker, networks)


def sizes_of(workers: int | str | None, modality_parallel: int | None) -> tuple[int, ...]:
    """The numbers of workers that were asked for; () where that was left open.

    Raises InputError for what is neither a number nor a range, or has no multiple of P in it.
    """
    if workers is None:
        return ()
    said = str(workers)
    least, colon, most = said.partition(":")
    if not least.isdecimal() or (colon and not most.isdecimal()):
        raise InputError(f"workers must be a number or MIN:MAX, such as 2:8, but is {said}.")
    low, high = int(least), int(most or least)
    if low < 1:
        raise InputError(f"workers must be at least 1, but is {said}.")
    if high < low:
        raise InputError(f"workers must be MIN:MAX with the smaller first, but is {said}.")
    if high > MOST_WORKERS:
        raise InputError(f"workers must be at most {MOST_WORKERS}, but is {said}.")
    if not colon:
        check_modality_parallel(low, modality_parallel or 1)
    sizes = tuple(w for w in range(low, high + 1) if w % (modality_parallel or 1) == 0)
    if not sizes:
        raise InputError(
            f"No number of workers in {said} can be split into groups of "
            f"modality_parallel={modality_parallel}: give a range with a multiple of "
            f"{modality_parallel} in it."
        )
    return sizes
