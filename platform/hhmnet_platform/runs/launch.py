"""A phase on Ray Train: from a job to a tracked, resumable run."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from hhmnet_platform.cluster.mesh_plan import MeshPlan, make_plan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.cluster.session import cluster_address, ray_session, this_machine
from hhmnet_platform.figures.progress import Display
from hhmnet_platform.members import TRAINED
from hhmnet_platform.runs.config import Job, Phase1Job, Phase2Job, check_placement, phase_of
from hhmnet_platform.runs.estimate import estimate, plan_lines, share_line
from hhmnet_platform.runs.publish import print_result, publish, summarise
from hhmnet_platform.runs.run import Run, prepare_run, store_of
from hhmnet_platform.runs.startup import Startup
from hhmnet_platform.storage.run_folder import RESULT, TRACKED
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, check_name
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import Tracker
from hhmnet_platform.tracking.run_writer import Ending, MlflowWriter

Record = Mapping[str, Any]

__all__ = ["Phase1Job", "Phase2Job", "run_phase"]


def run_phase(job: Job, began: float | None = None) -> str:
    """Trains a phase, resumes it, or says that it is complete.

    Args:
        job: What the user asks for.
        began: When the command was given, as `time.time()` says it; None for now.

    Returns:
        The run's name.

    Raises InputError for anything the user can cause, before Ray starts where that can be known.
    """
    startup = Startup(time.time() if began is None else began)
    startup.mark("imports")
    if job.name:
        check_name(job.name)
    workspace = Workspace(absolute_uri(job.workspace))
    plan = None if cluster_address() else plan_of(job, this_machine())
    workspace.tracking_uri(job.tracking_uri)
    if job.dry_run:
        return _dry_run(job, workspace)
    workspace.check_writable()
    if "/runtime_resources/working_dir_files/" in workspace.uri:
        print(
            "note: the workspace lies in the job's uploaded folder and goes with the cluster: give "
            "--workspace an absolute path or a URI to keep it."
        )
    with store_of(job, workspace, keep=True) as store:
        run = prepare_run(job, workspace, store)
    with run.folder.lock():
        run.folder.claim(run.science)
        result = run.folder.read_json(RESULT)
        if result is not None:
            print(f"Run {run.folder.name} is complete. Another seed or config makes another run.")
            if run.folder.read_json(TRACKED) is None:
                publish(run, result, Tracker(MlflowWriter(run.tracked), print))
            print_result(run, result)
            return run.folder.name
        run.folder.write_yaml("config.yaml", asdict(job) | {"data": asdict(run.config.data)})
        startup.mark("checks")
        _train(job, run, plan, startup)
    return run.folder.name


def _dry_run(job: Job, workspace: Workspace) -> str:
    """Says what the run would take; its name."""
    with ExitStack() as stack:
        store = stack.enter_context(store_of(job, workspace, keep=False))
        run = prepare_run(job, workspace, store)
        there = stack.enter_context(ray_session()) if cluster_address() else this_machine()
        plan = plan_of(job, there).limited(run.most_data_parallel)
        known = job.data.store or isinstance(job, Phase2Job) or store.startswith(workspace.uri)
        name = run.folder.name if known else "named by the demo's data, which are made first"
        print(f"run         {name}")
        print("\n".join(plan_lines(run, plan, there)), flush=True)
        print("\n".join(estimate(run, plan, there, job.price_per_worker_hour).lines()))
    return run.folder.name


def plan_of(job: Job, resources: Resources) -> MeshPlan:
    """The layout that a job comes to on what there is; raises InputError where it does not fit."""
    check_placement(job)
    workers, modality_parallel = job.workers, None
    if isinstance(job, Phase1Job):
        modality_parallel = job.modality_parallel
    else:  # one modality; a single process uses all the cores of a machine without GPUs
        modality_parallel = 1
        workers = 1 if workers is None and not resources.gpus else workers
    return make_plan(
        resources,
        workers=workers,
        modality_parallel=modality_parallel,
        networks=len(TRAINED[phase_of(job)]),
        gpu=job.gpu,
        cpus_per_worker=job.cpus_per_worker,
    )


def _train(job: Job, run: Run, plan: MeshPlan | None, startup: Startup) -> None:
    with Display(run.config.optim.epochs) as display:
        display.say(f"run         {run.folder.name}")
        display.phase("starting Ray" if plan else "joining the Ray cluster")
        with ray_session() as resources:
            startup.mark("Ray")
            plan = plan_of(job, resources).limited(run.most_data_parallel)
            for line in plan_lines(run, plan, resources):
                display.say(line)
            for end in plan.ends():
                display.say(share_line(run.config.optim.batch, end))
            ask_nodes(job, run)
            history, tracker = _fit(job, run, plan, display, startup)
        display.phase("scoring and drawing")
        result = summarise(run, plan, history)
        publish(run, result, tracker)
    print_result(run, result)


def ask_nodes(job: Job, run: Run) -> None:
    """Raises InputError, naming the node, where one of a cluster's cannot take part in a run."""
    from hhmnet_platform.cluster.preflight import check_nodes  # imports Ray

    check_nodes(absolute_uri(job.workspace), run.config.data.store, run.clips)


def train_run(job: Job, run: Run, plan: MeshPlan, on_epoch: Callable[[Record], None]) -> None:
    """Trains a run, goes on with it, or tells what it is, where Ray has been started already.

    Args:
        job: What was asked for.
        run: What it comes to.
        plan: Its layout, on what there is.
        on_epoch: Is told each epoch's record, once, in order.
    """
    plan = plan.limited(run.most_data_parallel)
    with run.folder.lock(), Display(run.config.optim.epochs) as display:
        run.folder.claim(run.science)
        result = run.folder.read_json(RESULT)
        if result is not None:
            for record in result["history"]:
                on_epoch(record)
            return
        run.folder.write_yaml("config.yaml", asdict(job) | {"data": asdict(run.config.data)})
        history, tracker = _fit(job, run, plan, display, Startup(time.time()), on_epoch)
        publish(run, summarise(run, plan, history), tracker)


def _fit(
    job: Job,
    run: Run,
    plan: MeshPlan,
    display: Display,
    startup: Startup,
    on_epoch: Callable[[Record], None] | None = None,
) -> tuple[list[dict[str, Any]], Tracker]:
    """Trains to the end; the history, and the tracker that still has to be told so."""
    # Imports Ray Train: before MLflow, which would be imported at the same time.
    from hhmnet_platform.runs.driver import Training

    tracked = replace(run.tracked, tags={**run.tracked.tags, **mesh_tags(plan)})
    tracker = Tracker(MlflowWriter(tracked), display.say)
    try:
        training = Training(job, run, plan, display, tracker, startup, on_epoch)
        return training.fit(), tracker
    except BaseException as error:
        # A search ends a trial by the second, in the midst of telling it an epoch.
        is_end = isinstance(error, SystemExit) and not error.code
        stopped = is_end or isinstance(error, KeyboardInterrupt)
        tracker.finish(Ending("KILLED" if stopped else "FAILED", {}), patience=15)
        raise


def mesh_tags(plan: MeshPlan) -> dict[str, str]:
    """Tags of a run's mesh; of an elastic run, the range of its workers."""
    ends = sorted({plan.sizes[0], plan.workers})
    return {
        tags.WORKERS: ":".join(map(str, ends)),
        tags.MODALITY_PARALLEL: str(
            plan.given or ("4, 2 or 1" if plan.is_elastic else plan.modality_parallel)
        ),
        tags.DEVICE: "cuda" if plan.gpu else "cpu",
    }
