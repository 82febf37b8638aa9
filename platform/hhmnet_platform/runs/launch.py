"""Launching a run on Ray Train: from a job to a finished run that MLflow holds."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace

from hhmnet_core.checks.names import check_name
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.joining import is_open_cluster
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.cluster.resources import Resources, local_resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.figures.progress import Display
from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.estimate import data_lines, estimate, plan_lines, share_line
from hhmnet_platform.runs.phases import PHASES, phase_of
from hhmnet_platform.runs.publish import is_published, print_result, publish
from hhmnet_platform.runs.resolve import resolve_run, resolve_store
from hhmnet_platform.runs.result import ScoredRun, summarise
from hhmnet_platform.runs.run import Run
from hhmnet_platform.runs.startup import Startup
from hhmnet_platform.storage.results import RunResult
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending

OnEpoch = Callable[[EpochRecord], None]


def run_phase(job: Job, began: float | None = None) -> str:
    """Train a phase, resume it, or report that it is complete.

    Args:
        job: The job.
        began: Start of the command, as from `time.time()`. None: now.

    Returns:
        The name of the run.

    Raises InputError for anything the user can cause, if possible before Ray starts.
    """
    startup = Startup(time.time() if began is None else began)
    startup.mark("imports")
    if job.name:
        check_name(job.name)
    workspace = Workspace(absolute_uri(job.workspace))
    if not cluster_address():
        phase_of(job).plan_mesh(job, local_resources())
    workspace.tracking_uri(job.tracking_uri)
    if job.dry_run:
        return _print_plan(job, workspace)
    workspace.check_writable()
    if "/runtime_resources/working_dir_files/" in workspace.uri:
        print(
            "note: the workspace is in the job's uploaded folder, which is deleted with the "
            "cluster: give --workspace an absolute path or a URI to keep it."
        )
    with resolve_store(job, workspace, keep=True) as store:
        run = resolve_run(job, workspace, store)
    with _claimed(run) as result:
        if result is None:
            startup.mark("checks")
            with Display(run.config.optim.epochs) as display:
                session = _own_session(job, run, display, startup)
                result = _train(job, run, session, display, startup)
        else:
            print(f"Run {run.folder.name} is complete. For another one, change seed or config.")
            if not is_published(run.folder):
                publish(
                    ScoredRun.read(run), result, BackgroundTracker(MlflowWriter(run.tracked), print)
                )
        print_result(run, result)
    return run.folder.name


def train_run(job: Job, run: Run, plan: MeshPlan, on_epoch: OnEpoch) -> None:
    """Train a run, resume it, or replay its history, on a Ray that has been started already.

    Args:
        job: The job.
        run: Its run.
        plan: Its workers.
        on_epoch: Called with the record of each epoch, once, in order.
    """
    # Trials side by side may have equal values: the second one replays the history of the first.
    with _claimed(run, waits=True) as result:
        if result is None:
            session = nullcontext(plan.limit_data_parallel(run_max_data_parallel(run)))
            with Display(run.config.optim.epochs) as display:
                _train(job, run, session, display, Startup(time.time()), on_epoch)
        else:
            for record in result.history:
                on_epoch(record)


def run_max_data_parallel(run: Run) -> int:
    """Return the largest number of workers that a batch of the run can be split over."""
    return PHASES[run.phase].max_data_parallel(run.config, len(run.split.train))


def check_nodes_of(job: Job, run: Run) -> None:
    """Raise InputError, naming the node, where a node of the cluster cannot take part in a run."""
    from hhmnet_platform.cluster.preflight import check_nodes  # imports Ray

    check_nodes(absolute_uri(job.workspace), run.config.data.store, run.clips)


def mesh_tags(plan: MeshPlan) -> dict[str, str]:
    """Return the tags of a run's mesh; of an elastic run, with the range of its workers."""
    ends = sorted({plan.sizes[0], plan.workers})
    return {
        tags.WORKERS: ":".join(map(str, ends)),
        tags.MODALITY_PARALLEL: str(
            plan.fixed_modality_parallel
            or ("4, 2 or 1" if plan.is_elastic else plan.modality_parallel)
        ),
        tags.DEVICE: "cuda" if plan.gpu else "cpu",
    }


def _print_plan(job: Job, workspace: Workspace) -> str:
    """Print the plan of a job, start nothing, and return the run's name."""
    with ExitStack() as stack:
        store = stack.enter_context(resolve_store(job, workspace, keep=False))
        run = resolve_run(job, workspace, store)
        resources = stack.enter_context(ray_session()) if cluster_address() else local_resources()
        plan = _mesh_of(job, run, resources)
        print("\n".join([f"run         {run.folder.name}", *data_lines(run)]))
        print("\n".join(plan_lines(run, plan, resources)), flush=True)
        print("\n".join(estimate(run, plan, resources, job.price_per_worker_hour).lines()))
    return run.folder.name


def _mesh_of(job: Job, run: Run, resources: Resources) -> MeshPlan:
    return phase_of(job).plan_mesh(job, resources).limit_data_parallel(run_max_data_parallel(run))


@contextmanager
def _claimed(run: Run, waits: bool = False) -> Iterator[RunResult | None]:
    """Lock the run for this process; yield its result, or None if it is unfinished."""
    with run.folder.lock(waits):
        run.folder.claim(run.identity)
        yield run.folder.read_result()


@contextmanager
def _own_session(job: Job, run: Run, display: Display, startup: Startup) -> Iterator[MeshPlan]:
    """Start or join Ray, show the plan and check the nodes."""
    for line in (f"run         {run.folder.name}", *data_lines(run)):
        display.say(line)
    display.phase("joining the Ray cluster" if cluster_address() else "starting Ray")
    with ray_session(job.dashboard, job.log_workers) as resources:
        startup.mark("Ray")
        plan = _mesh_of(job, run, resources)
        for line in plan_lines(run, plan, resources):
            display.say(line)
        for end in plan.extremes():
            display.say(share_line(run.config.optim.batch, end))
        check_nodes_of(job, run)
        yield plan


def _train(
    job: Job,
    run: Run,
    session: AbstractContextManager[MeshPlan],
    display: Display,
    startup: Startup,
    on_epoch: OnEpoch | None = None,
) -> RunResult:
    """Train to the end, score, and publish."""
    run.folder.write_config(asdict(job) | {"data": asdict(run.config.data)})
    with session as plan:
        history, tracker = _fit(job, run, plan, display, startup, on_epoch)
    display.phase("scoring and drawing")
    scored = ScoredRun.complete(run)
    result = summarise(scored, plan, history)
    publish(scored, result, tracker)
    return result


def _fit(
    job: Job,
    run: Run,
    plan: MeshPlan,
    display: Display,
    startup: Startup,
    on_epoch: OnEpoch | None,
) -> tuple[list[EpochRecord], BackgroundTracker]:
    """Train to the last epoch; return the history, and the tracker, which is not finished yet."""
    # Imports Ray Train: before MLflow, which would be imported at the same time.
    from hhmnet_platform.runs.driver import Training

    own_tags = {**run.tracked.tags, **mesh_tags(plan)}
    if is_open_cluster():
        own_tags |= {tags.OPEN_CLUSTER: "true"}
    tracked = replace(run.tracked, tags=own_tags)
    tracker = BackgroundTracker(MlflowWriter(tracked), display.say)
    try:
        training = Training(job, run, plan, display, tracker, startup, on_epoch)
        return training.fit(), tracker
    except BaseException as error:
        # A search ends a trial with code 0, while the trial reports an epoch.
        is_end = isinstance(error, SystemExit) and not error.code
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted:
            display.say(f"The same command continues {run.folder.name}.")
        stopped = is_end or interrupted
        tracker.finish(Ending("KILLED" if stopped else "FAILED", {}), timeout=15)
        raise
