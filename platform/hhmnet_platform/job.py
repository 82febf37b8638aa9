"""A job: what the user asks for, and what follows from it before anything starts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hhmnet_core.data.clips import ClipSet, Int64Array
from hhmnet_core.data.copies import copies_of_training
from hhmnet_core.data.footage import check_filmed, load_footage, with_video
from hhmnet_core.data.protocols import (
    LITERATURE,
    VAL,
    Split,
    protocol_name,
    smallest_batch,
    split,
)
from hhmnet_core.data.store import load_clips
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_core.training.phase2_config import Phase2Config
from hhmnet_platform.data_sets import prepare_synthetic
from hhmnet_platform.environment import environment_tags
from hhmnet_platform.guide_run import finished_phase1, phase1_result, weights_digest
from hhmnet_platform.members import MEMBERS
from hhmnet_platform.run_folder import RunFolder
from hhmnet_platform.tracking import TrackedRun
from hhmnet_platform.workspace import (
    Workspace,
    absolute,
    default_tracking,
    default_workspace,
    flat,
    run_name,
)


@dataclass
class Placement:
    """Where a phase runs, and on how much of the cluster.

    Attributes:
        workspace: Folder or URI that holds everything the run makes; $HHMNET_WORKSPACE if set.
        name: Of the run; empty: from the data set and a hash of the config.
        workers: W, processes that train, or MIN:MAX where nodes may come and go; null: one a GPU;
            without, in phase 1 one a CPU up to four, in phase 2 one.
        cpus_per_worker: CPU cores of a worker; null: an equal share.
        gpu: Train on GPUs; null: where there are any.
        tracking_uri: Of MLflow, $MLFLOW_TRACKING_URI if set; empty: a database in the workspace.
        max_failures: How often workers may die before the run gives up; what a node that was
            announced to be taken away costs does not count.
        checkpoint_minutes: Of training after which a checkpoint is taken within an epoch too; 0:
            after epochs alone.
        resize_minutes: That MIN:MAX workers train at least before their number is changed.
        price_per_worker_hour: In any currency, for what a run will cost; 0: not known.
        dry_run: Only say what the run would take.
    """

    workspace: str = field(default_factory=default_workspace)
    name: str = ""
    workers: int | str | None = None
    cpus_per_worker: int | None = None
    gpu: bool | None = None
    tracking_uri: str = field(default_factory=default_tracking)
    max_failures: int = 3
    checkpoint_minutes: float = 10.0
    resize_minutes: float = 1.0
    price_per_worker_hour: float = 0.0
    dry_run: bool = False


@dataclass
class Phase1Job(Placement, Phase1Config):
    """Phase 1: what is trained, where, and on how much of the cluster.

    Attributes:
        modality_parallel: P of 1, 2 or 4 that the modalities are split into; null: what divides W.
    """

    modality_parallel: int | None = None


@dataclass
class Phase2Job(Placement, Phase2Config):
    """Phase 2: what is trained, under whose guidance, where, and on how much of the cluster.

    Attributes:
        phase1: The finished phase-1 run that guides: its name in the workspace, its folder, or the
            id of one of its runs in MLflow; where no store is given, phase 2 reads that run's.
            Without either: the demo's, which is trained where it is not there yet.
    """

    phase1: str = ""


Job = Phase1Job | Phase2Job


def check_placement(placement: Placement) -> None:
    """Raises InputError for a number that cannot be."""
    for name in ("checkpoint_minutes", "resize_minutes", "price_per_worker_hour", "max_failures"):
        value = getattr(placement, name)
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} must be at least 0, but is {value}.")


def phase_of(job: Job) -> str:
    """Its name, as in runs and tags."""
    return "phase1" if isinstance(job, Phase1Job) else "phase2"


@dataclass(frozen=True)
class Run:
    """All that is known of a run before anything starts.

    Attributes:
        phase: "phase1" or "phase2".
        config: What decides the result; the store absolute, the protocol named.
        clips: Its data.
        folder: Its folder.
        science: The flat config and the data's digest, in phase 1 of the skeletons alone: equal
            science, equal run.
        tracked: What MLflow is told.
        guide: The phase-1 run that guides phase 2.
        notes: What the user should know of it.
    """

    phase: str
    config: Phase1Config | Phase2Config
    clips: ClipSet
    folder: RunFolder
    science: dict[str, Any]
    tracked: TrackedRun
    guide: RunFolder | None = None
    notes: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """What it reports on, the fusion last."""
        return MEMBERS[self.phase]

    @property
    def parts(self) -> Split:
        """The clips that it trains on, and is scored with."""
        parts = split(self.clips, self.config.data.protocol, self.config.data.selection)
        if isinstance(self.config, Phase1Config):
            return parts
        return with_video(parts, load_footage(self.config.data.store))

    @property
    def most_data_parallel(self) -> int:
        """The largest D that its training takes."""
        if isinstance(self.config, Phase1Config) and self.config.model.name != "stst":
            return 1  # normalises over the whole batch
        return smallest_batch(len(self.parts.train), self.config.optim.batch)

    @property
    def guide_checkpoint(self) -> str:
        """URI of the checkpoint that guides phase 2; "" in phase 1."""
        return f"{self.guide.uri}/{self.guide.result()['checkpoint']}" if self.guide else ""


@contextmanager
def store_of(job: Job, workspace: Workspace, *, keep: bool) -> Iterator[str]:
    """The store's URI; where none is given, that of the demo, which is made if need be.

    One that is not kept has the demo's skeletons alone, which to phase 1 is the same.
    """
    if job.data.store:
        yield absolute(job.data.store)
        return
    if isinstance(job, Phase2Job):
        yield str(phase1_result(job.phase1, workspace, job.tracking_uri)[1]["tags"]["hhmnet.store"])
        return
    uri = workspace.at("data/synthetic")
    if keep or "manifest.json" in folder(uri).names():
        prepare_synthetic(uri)
        yield uri
        return
    with tempfile.TemporaryDirectory() as elsewhere:
        prepare_synthetic(elsewhere, stream="none")
        yield elsewhere


def prepare_run(job: Job, workspace: Workspace, store: str) -> Run:
    """What the job comes to. Raises InputError where its parts do not fit each other."""
    clips = load_clips(store)
    manifest = clips.manifest
    protocol = protocol_name(manifest.protocols, job.data.protocol)
    divided = split(clips, protocol, job.data.selection)
    config: Phase1Config | Phase2Config
    phase, guide = phase_of(job), None
    if isinstance(job, Phase1Job):
        notes = _copies(clips, divided, divided.test)
        data = replace(job.data, store=store, protocol=protocol)
        config = Phase1Config(data, job.model, job.augment, job.contrast, job.optim, job.seed)
    else:
        config = Phase2Config(
            replace(job.data, store=store, protocol=protocol),
            job.video,
            job.guidance,
            job.parts,
            job.augment,
            job.optim,
            job.seed,
        )
        filmed = with_video(divided, load_footage(store))
        check_filmed(filmed, config.data.selection)
        notes = _copies(clips, divided, filmed.test) + _without_video(divided, filmed)
        guide = finished_phase1(
            job.phase1, workspace, job.tracking_uri, config.data, clips.skeletons
        )
    science = flat(config)
    del science["data.store"]
    digest = clips.skeletons if guide is None else manifest.digest
    science["data.digest"] = digest
    if guide is not None:
        science["guide"] = weights_digest(guide, science["guidance.modality"])
    name = job.name or run_name(manifest.dataset, phase, science)
    tracked = TrackedRun(
        uri=workspace.tracking_uri(job.tracking_uri),
        experiment=experiment_name(manifest.dataset, protocol, config.data.selection),
        artifacts="" if job.tracking_uri else workspace.at("mlartifacts"),
        name=name,
        members=MEMBERS[phase],
        params=science,
        tags={
            "hhmnet.phase": phase,
            "hhmnet.dataset": manifest.dataset,
            "hhmnet.protocol": protocol,
            "hhmnet.selection": config.data.selection,
            "hhmnet.data_digest": digest,
            "hhmnet.store": store,
            **({"hhmnet.phase1": guide.name} if guide else {}),
            **environment_tags(),
        },
        dataset=manifest.dataset,
        digest=digest,
        store=store,
    )
    return Run(phase, config, clips, workspace.run(name), science, tracked, guide, notes)


def experiment_name(dataset: str, protocol: str, selection: str) -> str:
    """MLflow's experiment of runs whose figures may stand beside each other."""
    kind = {VAL: "", LITERATURE: " (literature)"}.get(selection, " (folds)")
    return f"{dataset}/{protocol}{kind}"


def _copies(clips: ClipSet, divided: Split, scored: Int64Array) -> tuple[str, ...]:
    """How many of the scored test clips training knows already."""
    copies = np.intersect1d(copies_of_training(clips, divided), scored)
    if not len(copies):
        return ()
    return (
        f"{len(copies)} of {len(scored)} test clips are copies of clips that are trained on or "
        "chosen by: the result has a column without them",
    )


def _without_video(everyone: Split, filmed: Split) -> tuple[str, ...]:
    counts = [
        f"{len(getattr(everyone, part)) - len(getattr(filmed, part))} of "
        f"{len(getattr(everyone, part))} {part} clips"
        for part in ("train", "val", "test")
        if len(getattr(filmed, part)) < len(getattr(everyone, part))
    ]
    said = f"no video, so neither trained on nor scored: {', '.join(counts)}"
    return (said,) if counts else ()
