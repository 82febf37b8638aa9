"""A job of phase 1: what the user asks for, and what follows from it before anything starts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hhmnet_core.data.protocols import protocol_name, split
from hhmnet_core.data.store import ClipSet, load_clips
from hhmnet_core.files import folder
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_platform.data_sets import prepare_synthetic
from hhmnet_platform.environment import environment_tags
from hhmnet_platform.tracking import TrackedRun
from hhmnet_platform.workspace import RunFolder, Workspace, absolute, flat, run_name


@dataclass
class Phase1Job(Phase1Config):
    """Phase 1: what is trained, where, and on how much of the cluster.

    Attributes:
        workspace: Folder or URI that holds everything the run makes.
        name: Of the run; empty: from the data set and a hash of the config.
        workers: W, processes that train; null: one a GPU, else one a CPU up to four.
        modality_parallel: P of 1, 2 or 4 that the modalities are split into; null: what divides W.
        cpus_per_worker: CPU cores of a worker; null: an equal share.
        gpu: Train on GPUs; null: where there are any.
        tracking_uri: Of MLflow; empty: a database in the workspace.
        max_failures: How often workers may die before the run gives up.
        dry_run: Only say what the run would take.
    """

    workspace: str = "workspace"
    name: str = ""
    workers: int | None = None
    modality_parallel: int | None = None
    cpus_per_worker: int | None = None
    gpu: bool | None = None
    tracking_uri: str = ""
    max_failures: int = 3
    dry_run: bool = False


@dataclass(frozen=True)
class Run:
    """All that is known of a run before anything starts.

    Attributes:
        config: What decides the result; the store absolute, the protocol named.
        clips: Its data.
        folder: Its folder.
        science: The flat config and the data's digest: equal science, equal run.
        tracked: What MLflow is told.
    """

    config: Phase1Config
    clips: ClipSet
    folder: RunFolder
    science: dict[str, Any]
    tracked: TrackedRun


@contextmanager
def store_of(job: Phase1Job, workspace: Workspace, *, keep: bool) -> Iterator[str]:
    """The store's URI; where none is given, of a synthetic one that is made if need be."""
    if job.data.store:
        yield absolute(job.data.store)
        return
    uri = workspace.at("data/synthetic")
    if keep or "manifest.json" in folder(uri).names():
        prepare_synthetic(uri)
        yield uri
        return
    with tempfile.TemporaryDirectory() as elsewhere:
        prepare_synthetic(elsewhere)
        yield elsewhere


def prepare_run(job: Phase1Job, workspace: Workspace, store: str) -> Run:
    clips = load_clips(store)
    manifest = clips.manifest
    data = replace(
        job.data, store=store, protocol=protocol_name(manifest.protocols, job.data.protocol)
    )
    split(clips, data.protocol, data.selection)
    config = Phase1Config(data, job.model, job.augment, job.contrast, job.optim, job.seed)
    science = flat(config)
    del science["data.store"]
    science["data.digest"] = manifest.digest
    name = job.name or run_name(manifest.dataset, "phase1", science)
    literature = " (literature)" if data.selection == "literature" else ""
    tracked = TrackedRun(
        uri=job.tracking_uri or (workspace.tracking_uri("") if workspace.is_local else ""),
        experiment=f"{manifest.dataset}/{data.protocol}{literature}",
        artifacts="" if job.tracking_uri else workspace.at("mlartifacts"),
        name=name,
        params=science,
        tags={
            "hhmnet.phase": "phase1",
            "hhmnet.dataset": manifest.dataset,
            "hhmnet.protocol": data.protocol,
            "hhmnet.selection": data.selection,
            "hhmnet.data_digest": manifest.digest,
            "hhmnet.store": store,
            **environment_tags(),
        },
        dataset=manifest.dataset,
        digest=manifest.digest,
        store=store,
    )
    return Run(config, clips, workspace.run(name), science, tracked)
