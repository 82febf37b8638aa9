"""Readers of every file format: each calls what a command calls on it."""

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from earlier_version import ENSEMBLE, PHASE1, PHASE2
from faults.examples import IDENTITY, ablation_subject, outcome, pack, study_identity
from rich.console import Console
from safetensors import deserialize

from hhmnet_core.deploy.model import load_model
from hhmnet_core.files import folder as folder_at
from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.poses.clips import PoseReading
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.sources.own.poses import Reading as FileReading
from hhmnet_core.store.protocols import LITERATURE, VAL, split_clips
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.checkpoints import STATE_FILE, member_file, parse_summary
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation import design, grid, outcomes
from hhmnet_platform.ablation.tables import summary
from hhmnet_platform.ablation.variants import phase1_ablation
from hhmnet_platform.datasets import builders, field_builders, pose_builder
from hhmnet_platform.datasets.describe import show_store
from hhmnet_platform.datasets.prepare import Prepared
from hhmnet_platform.fusion.candidates import candidates_of_workspace
from hhmnet_platform.fusion.ensemble_result import parse_ensemble, print_ensemble
from hhmnet_platform.fusion.fixed_weights import FixedFusion, run_fixed_fusion
from hhmnet_platform.fusion.fusion_result import fusion_table
from hhmnet_platform.fusion.search_weights import read_fusion
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.runs.guiding_run import weights_digest
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.search.config import Phase1Search, trial_job
from hhmnet_platform.search.space import distributions
from hhmnet_platform.search.storage import open_storage
from hhmnet_platform.search.study import open_study
from hhmnet_platform.serving.inputs import RecordingFiles
from hhmnet_platform.serving.pairing import read_class_map
from hhmnet_platform.serving.videos import VideoReader
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.finished_run import FinishedRun, finished_runs
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace


@dataclass(frozen=True)
class Reading:
    """What a reader made of a file.

    Attributes:
        value: Everything that results depend on. None where the product makes the file anew.
        notice: Notice of the product about the file.
    """

    value: Any
    notice: str = ""


def fingerprint(value: Any) -> str:
    """Return a digest of nested values: arrays, dataclasses, mappings, sequences, plain values."""
    digest = hashlib.sha256()

    def add(each: Any) -> None:
        if is_dataclass(each) and not isinstance(each, type):
            each = {one.name: getattr(each, one.name) for one in fields(each)}
        if isinstance(each, np.ndarray):
            digest.update(f"{each.dtype}{each.shape}".encode() + each.tobytes())
        elif isinstance(each, Mapping):
            digest.update(b"{")
            for key in sorted(each, key=str):
                add(key)
                add(each[key])
        elif isinstance(each, list | tuple):
            digest.update(b"[%d" % len(each))
            for item in each:
                add(item)
        else:
            digest.update(each if isinstance(each, bytes) else repr(each).encode())
        digest.update(b",")

    add(value)
    return digest.hexdigest()


def read_store(folder: Path) -> Reading:
    clips = load_clips(folder / "store", folder / "new cache")
    manifest = clips.manifest
    show_store(str(folder / "store"), manifest, {}, Console(file=io.StringIO()))
    splits = {
        f"{protocol}, {selection}": asdict(split_clips(clips, protocol, selection))
        for protocol in manifest.protocols
        for selection in (VAL, LITERATURE)
    }
    return Reading((manifest.digest, clips.skeletons, splits))


def read_cached(folder: Path) -> Reading:
    clips = load_clips(folder / "store", folder / "cache")
    names = [each.name for each in fields(clips) if each.name != "manifest"]
    return Reading({name: np.array(getattr(clips, name)) for name in names})


def read_model(folder: Path) -> Reading:
    """Load the model and predict with it."""
    model = load_model(folder / "model")
    clips = [np.load(folder / f"clip{number}.npy") for number in range(2)]
    return Reading((asdict(model.description), model.predict(clips)))


def read_list(folder: Path) -> Reading:
    """Read the recordings of a list, as predict.py does."""
    layout = get_layout("kinect_v1_20")
    videos = VideoReader(BlazePoseConfig(), layout, 2, PoseReading())
    files = RecordingFiles(str(folder / "list.csv"), layout, layout, FileReading(), videos)
    files.check()
    recorded = [files.read(name) for name in files.names]
    return Reading([(each.clip.sample_id, each.clip.joints, each.fps) for each in recorded])


def read_classes(folder: Path) -> Reading:
    return Reading(read_class_map(str(folder / "classes.yaml")))


def one_run(folder: Path) -> RunFolder:
    return Workspace(str(folder)).run("first")


def read_result(folder: Path) -> Reading:
    ((run,),) = (finished_runs(Workspace(str(folder)), ["first"]),)
    return Reading(run.result)


def read_scores(folder: Path) -> Reading:
    """Fuse the run, as fuse.py does, and read its networks, as search.py fusion does."""
    with redirect_stdout(io.StringIO()):
        run_fixed_fusion(FixedFusion(["first"], str(folder)))
    return Reading(candidates_of_workspace(Workspace(str(folder)), ["first"]))


def read_identity(folder: Path) -> Reading:
    one_run(folder).claim(IDENTITY)
    return Reading("claimed")


def read_meshes(folder: Path) -> Reading:
    run = one_run(folder)
    run.add_mesh(TrainingPoint(1, 1), 2, 1)  # the mesh that it has already
    return Reading(run.meshes())


def read_checkpoints(folder: Path) -> Reading:
    """Find the checkpoint from which the run resumes, and read it."""
    run = one_run(folder)
    recovery = run.recover()
    if recovery is None:
        latest, notice = checkpoint_name(run.latest_point()), ""
        if run.lacks_checksums(latest):
            notice = f"checkpoint {latest} is without checksums"
    else:
        latest, notice = recovery.start_from, recovery.reason
    run.remove_unfinished_checkpoints()
    return Reading(_checkpoint(run, latest) if latest else FROM_START, notice)


FROM_START = "from the start"


def whole_checkpoints(folder: Path) -> tuple[Any, ...]:
    run = one_run(folder)
    return (FROM_START, _checkpoint(run, "epoch-00001"), _checkpoint(run, "epoch-00002"))


def _checkpoint(run: RunFolder, name: str) -> Any:
    files = run.sub(name)
    summary = parse_summary(files.read(STATE_FILE))
    weights = {each: dict(deserialize(files.read(member_file(each)))) for each in MODALITIES}
    return fingerprint((summary.config, summary.digest, summary.progress, weights))


def read_guide(folder: Path) -> Reading:
    run = FinishedRun.read(one_run(folder))
    return Reading([weights_digest(run, modality) for modality in MODALITIES])


def option_names(kind: Any, prefix: str = "") -> tuple[str, ...]:
    """Return the dotted names of the fields of a dataclass, and of the dataclasses within it."""
    names: list[str] = []
    for name, hint in get_type_hints(kind).items():
        names.append(prefix + name)
        if is_dataclass(hint):
            names += option_names(hint, f"{prefix}{name}.")
    return tuple(names)


def read_config(file: str, kind: type) -> Callable[[Path], Reading]:
    def read(folder: Path) -> Reading:
        (path,) = folder.glob(file)
        job = parse_config("phase1.py", kind, [f"--config={path}"])
        if isinstance(job, Phase1Search):
            return Reading((asdict(job), repr(distributions(trial_job(job, {}), job.space))))
        return Reading(asdict(job))

    return read


def read_fusion_file(folder: Path) -> Reading:
    workspace = Workspace(str(folder / "workspace"))
    (path,) = (folder / "workspace" / "fusions").iterdir()
    candidates = candidates_of_workspace(workspace, [PHASE1, PHASE2])
    result = read_fusion(folder_at(str(path)), candidates)
    if result is None:
        return Reading(None)
    Console(file=io.StringIO()).print(fusion_table(result))
    return Reading((result.searched, result))


def read_ensemble(folder: Path) -> Reading:
    (path,) = folder.glob(f"workspace/ensembles/{ENSEMBLE}")
    files = folder_at(str(path))
    result = parse_ensemble(files.read("ensemble.json"), f"{files.uri}/ensemble.json")
    with redirect_stdout(io.StringIO()):
        print_ensemble(result, f"example-{short_hash(result.identity())}")
    return Reading(result)


def read_journal(folder: Path) -> Reading:
    study = open_study("mine", open_storage("", folder), study_identity(), IDENTITY)
    return Reading([(each.params, each.value, each.state.name) for each in study.trials])


def _prepared(prepare: Callable[[Path, str], Prepared]) -> Callable[[Path], Reading]:
    """Return a reader that makes a store of an example."""

    def read(folder: Path) -> Reading:
        store = folder / "made"
        manifest = prepare(folder, str(store)).manifest
        left_out = store / "left_out.csv"
        notice = left_out.read_text() if left_out.exists() else ""
        return Reading((manifest.digest, manifest.class_names), notice)

    return read


read_own = _prepared(
    lambda folder, store: builders.prepare_own(
        str(folder / "clips.csv"), str(folder / "stick.yaml"), store, workers=1
    )
)
read_poses = _prepared(
    lambda folder, store: pose_builder.prepare_poses(
        str(folder), str(folder / "videos.csv"), store, workers=1
    )
)
read_pyskl = _prepared(
    lambda folder, store: field_builders.prepare_pyskl(str(folder / "field.pkl"), store)
)
read_ctr_gcn = _prepared(
    lambda folder, store: field_builders.prepare_ctr_gcn(str(folder / "field.npz"), store)
)
read_nw_ucla = _prepared(
    lambda folder, store: builders.prepare_nw_ucla(str(folder / "files"), store, workers=1)
)
read_ntu = _prepared(
    lambda folder, store: builders.prepare_ntu(str(folder / "files"), store, workers=1)
)
read_utd_mhad = _prepared(
    lambda folder, store: builders.prepare_utd_mhad(str(folder), store, "depth", workers=1)
)


def read_packed(prepare: Callable[..., Prepared], packs: bool) -> Callable[[Path], Reading]:
    def from_zip(folder: Path, store: str) -> Prepared:
        if packs:
            pack(folder)
        (path,) = folder.glob("*.zip")
        return prepare(str(path), store, workers=1)

    return _prepared(from_zip)


def read_design(folder: Path) -> Reading:
    """Read the design of an ablation, and make the config of each variant."""
    read = design.read_design(str(folder / "design.yaml"))
    subject = phase1_ablation(Phase1Config(), read.variants or None, read.reference)
    configs = [subject.variant(Phase1Config(), name, 1) for name in subject.variants]
    return Reading((read, configs))


def read_outcomes(folder: Path) -> Reading:
    """Sum an ablation up; runs that the file lacks are made up in place of training."""
    subject, config = ablation_subject(folder)
    tasks = grid.plan_runs(subject, [grid.Bench("", config, [1, 2])], ["all", "no mask"])
    with redirect_stdout(io.StringIO()):
        finished = grid.find_finished(
            subject, tasks, outcomes.read_outcomes(folder / "outcomes.jsonl")
        )
    made_up = {task.key: outcome(folder, task.variant, task.config.seed) for task in tasks}
    return Reading(summary(subject, list((made_up | finished).values())))
