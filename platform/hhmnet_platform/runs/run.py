"""A job: what the user asks for, and what follows from it before anything starts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hhmnet_core.files import folder
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.inputs.footage import check_filmed, load_footage, with_video
from hhmnet_core.inputs.order import smallest_batch
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import Split, protocol_name, split
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.phase1.fitting import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.hashing import flatten, run_name
from hhmnet_platform.members import MEMBERS
from hhmnet_platform.runs.config import Job, Phase1Job, Phase2Job, phase_of
from hhmnet_platform.runs.guiding_run import finished_phase1, phase1_result, weights_digest
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.environment import environment_tags
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.run_writer import TrackedRun


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
        yield absolute_uri(job.data.store)
        return
    if isinstance(job, Phase2Job):
        yield str(phase1_result(job.phase1, workspace, job.tracking_uri)[1]["tags"][tags.STORE])
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
    science = flatten(config)
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
            tags.PHASE: phase,
            tags.DATASET: manifest.dataset,
            tags.PROTOCOL: protocol,
            tags.SELECTION: config.data.selection,
            tags.DATA_DIGEST: digest,
            tags.STORE: store,
            **({tags.GUIDE: guide.name} if guide else {}),
            **environment_tags(),
        },
        dataset=manifest.dataset,
        digest=digest,
        store=store,
    )
    return Run(phase, config, clips, workspace.run(name), science, tracked, guide, notes)


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
