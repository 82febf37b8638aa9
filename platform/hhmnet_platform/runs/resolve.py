"""Resolving a job to a run: store, clips, guide, name and notes, before anything starts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.passwords import without_password
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import MAX_SIZE_RATIO, Manifest
from hhmnet_core.store.protocols import Split, protocol_name
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.optim import with_epochs
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.figures.progress import showing_passes
from hhmnet_platform.hashing import run_name
from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.phases import AnyPhase, phase_of
from hhmnet_platform.runs.run import Config, Run
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.run_identity import RunIdentity
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.datasets import TrackedSplit
from hhmnet_platform.tracking.environment import environment_tags
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.tracked_run import TrackedRun

DEMO_STORE = "data/synthetic"
DEMO_EPOCHS = 12  # enough for its movements, which are generated


@contextmanager
def resolve_store(job: Job, workspace: Workspace, *, keep: bool) -> Iterator[str]:
    """Return the URI of a job's store: the given one, the guide's, or the demo's.

    Args:
        job: The job.
        workspace: Workspace of the demo's store.
        keep: False makes a demo's store that is not there yet in a temporary folder, without
            video, which to phase 1 is the same.
    """
    store = job.data.store or phase_of(job).default_store(job, workspace)
    if store:
        yield absolute_uri(store)
        return
    uri = workspace.at(DEMO_STORE)
    if keep or "manifest.json" in folder(uri).names():
        prepare_synthetic(uri)
        yield uri
        return
    with tempfile.TemporaryDirectory() as temporary:
        prepare_synthetic(temporary, stream="none")
        yield temporary


@showing_passes()
def resolve_run(job: Job, workspace: Workspace, store: str) -> Run:
    """Return the run of a job on a store.

    Raises InputError where config, store and guide do not fit each other.
    """
    phase = phase_of(job)
    protocol = protocol_name(read_manifest(store).protocols, job.data.protocol)
    config: Config = phase.with_models(phase.config_of(job, store, protocol), job, workspace)
    clips = load_training_clips(config.data)
    manifest = clips.manifest
    phase.check_clips(config, manifest)
    whole = split_of(clips, config.data, config.seed)
    usable = phase.usable_split(config, whole)
    is_demo = not (job.data.store or phase.default_store(job, workspace))
    config = _with_epochs(config, len(usable.train), is_demo)
    guide = phase.guide(job, config, clips, workspace)
    _check_mirror(config, manifest)
    digest = phase.data_digest(clips)
    identity = RunIdentity(config, digest, phase.guide_digest(config, guide))
    name = job.name or run_name(manifest.dataset, phase.name, identity.values)
    return Run(
        phase=phase.name,
        config=config,
        clips=clips,
        split=usable,
        folder=workspace.run(name),
        identity=identity,
        tracked=TrackedRun(
            uri=workspace.tracking_uri(job.tracking_uri),
            experiment=experiment_name(manifest.dataset, protocol, config.data.selection),
            artifacts=workspace.artifacts(job.tracking_uri),
            name=name,
            members=phase.members,
            params=identity.params,
            tags=_tags(phase, config, manifest.dataset, digest, guide),
            dataset=manifest.dataset,
            digest=digest,
            store=without_password(store),
            splits=_tracked_splits(clips, usable),
            has_video=manifest.visual is not None,
        ),
        guide=guide,
        notes=(
            *_copies_note(clips, whole, usable),
            *_size_note(config, manifest),
            *phase.notes(whole, usable),
        ),
    )


def _with_epochs(config: Config, num_training_clips: int, is_demo: bool) -> Config:
    optim = config.optim
    if is_demo and not optim.epochs:
        optim = replace(optim, epochs=DEMO_EPOCHS)
    return replace(config, optim=with_epochs(optim, num_training_clips))


def _tracked_splits(clips: ClipSet, split: Split) -> tuple[TrackedSplit, ...]:
    """Return the splits that have clips, for MLflow."""
    indices = {"train": split.train, "val": split.val, "test": split.test}
    return tuple(
        TrackedSplit.of(name, clips.manifest.digest, clips.sample_ids[chosen])
        for name, chosen in indices.items()
        if len(chosen)
    )


def _tags(
    phase: AnyPhase, config: Config, dataset: str, digest: str, guide: FinishedRun | None
) -> dict[str, str]:
    return {
        tags.PHASE: phase.name,
        tags.DATASET: dataset,
        tags.PROTOCOL: config.data.protocol,
        tags.SELECTION: config.data.selection,
        tags.DATA_DIGEST: digest,
        tags.STORE: without_password(config.data.store),
        **({tags.GUIDE: guide.name} if guide else {}),
        **environment_tags(),
    }


def _check_mirror(config: Config, manifest: Manifest) -> None:
    layout = manifest.skeleton
    if config.augment.mirror and not layout.has_sides:
        raise InputError(
            f"augment.mirror is {config.augment.mirror}, but no joint of layout {layout.name} "
            f"names a side (it has {', '.join(layout.joints[:5])} ...): name them left_x and "
            "right_x and prepare the store again, or set augment.mirror to 0."
        )


def _size_note(config: Config, manifest: Manifest) -> tuple[str, ...]:
    """Return a note where bodies differ in size and nothing makes them alike."""
    data = config.data
    if not isinstance(data, DataConfig) or data.normalise_size or data.normalise_axes:
        return ()
    if manifest.size_ratio <= MAX_SIZE_RATIO:
        return ()
    return (
        f"bodies differ in size by a factor of {manifest.size_ratio:.1f} between subjects or "
        "splits: consider --data.normalise_size true",
    )


def _copies_note(clips: ClipSet, whole: Split, usable: Split) -> tuple[str, ...]:
    """Return a note where test clips copy clips of the whole training and validation splits."""
    copies = np.intersect1d(copies_of_training(clips, whole), usable.test)
    if not len(copies):
        return ()
    return (
        f"{len(copies)} of {len(usable.test)} test clips are copies of clips that are trained on "
        "or selected by: the result has a column without them",
    )
