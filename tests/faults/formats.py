"""Every file format that the product reads, each with a valid example and the product's reader.

A new format joins by one entry in `FORMATS`; an example that several formats share is one in
`EXAMPLES`.
"""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import yaml
from earlier_version import ENSEMBLE, FUSION, PHASE1, PHASE2, unpack
from made_stores import write_small_store
from ntu_files import SkeletonFile, Track, clip_name, standing_body
from nw_ucla_files import write_nw_ucla_zip
from optuna.distributions import FloatDistribution
from rich.console import Console
from safetensors import deserialize
from scipy.io import savemat
from video_files import encode_video, numbered_images

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.protocols import LITERATURE, VAL, split_clips
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.checkpoints import STATE_FILE, member_file, parse_summary
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation import runner
from hhmnet_platform.cli import parse_config
from hhmnet_platform.datasets import builders
from hhmnet_platform.datasets.describe import show_store
from hhmnet_platform.datasets.prepare import Prepared
from hhmnet_platform.fusion.candidates import candidates_of_workspace
from hhmnet_platform.fusion.ensemble_result import parse_ensemble, print_ensemble
from hhmnet_platform.fusion.fixed_weights import FixedFusion, run_fixed_fusion
from hhmnet_platform.fusion.fusion_result import fusion_table
from hhmnet_platform.fusion.search_weights import read_fusion
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.guiding_run import weights_digest
from hhmnet_platform.search.config import Phase1Search, StudyIdentity, best_config, trial_job
from hhmnet_platform.search.space import Dimension, distributions
from hhmnet_platform.search.study import open_study
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.finished_run import FinishedRun, finished_runs
from hhmnet_platform.storage.run_folder import SNAPSHOT, RunFolder
from hhmnet_platform.storage.run_identity import RunIdentity
from hhmnet_platform.storage.workspace import Workspace


@dataclass(frozen=True)
class Reading:
    """What a reader made of a file.

    Attributes:
        value: Everything that results depend on. None where the product makes the file anew.
        notice: What the product tells the user about the file.
    """

    value: Any
    notice: str = ""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        kind: Kind of its mutations: a key of `MUTATIONS`.
        example: Example that holds a valid file: a key of `EXAMPLES`.
        file: Glob pattern of the files in the example; a case spoils one of them.
        read: Reader: from the folder of the example to what the product makes of the file.
        checked: Whether a checksum covers all that the reader returns: then no other value may come
            out without a word. Without one, a mutation may make another valid file.
        names: Texts by which a refusal may name the file, beside the file's own name.
        equals: Values as good as that of the valid file, from the valid example: such as that of an
            older checkpoint, from which training comes to the same end.
    """

    kind: str
    example: str
    file: str
    read: Callable[[Path], Reading]
    checked: bool = False
    names: tuple[str, ...] = ()
    equals: Callable[[Path], tuple[Any, ...]] = lambda folder: ()


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


# Examples: valid files, written into an empty folder.


def _store(folder: Path) -> None:
    write_small_store(folder / "store")
    load_clips(folder / "store", folder / "cache")


def _workspace(folder: Path) -> None:
    """The workspace of an earlier version: runs, scores, a fusion, an ensemble."""
    unpack(folder)


IDENTITY = RunIdentity(Phase1Config(data=DataConfig(store="/data/films")), "digest")


def _run(folder: Path) -> None:
    """A run with two checkpoints, as this version writes them, and all of its small files."""
    _, workspace = unpack(folder / "old")
    path = folder / "runs" / "first"
    shutil.copytree(workspace / "runs" / PHASE1, path)
    shutil.rmtree(folder / "old")
    run = RunFolder("first", str(path))
    snapshot = json.loads((path / SNAPSHOT).read_text())
    latest = snapshot["latest_checkpoint_result"]
    last = str(latest["checkpoint_dir_name"])
    shutil.copytree(path / last, path / "epoch-00001", dirs_exist_ok=True)
    for name, epochs in (("epoch-00001", 1), (last, 2)):
        at = path / name / STATE_FILE
        summary = parse_summary(at.read_bytes())
        progress = replace(summary.progress, history=summary.progress.history[:epochs])
        files = {
            member_file(each): hashlib.sha256((path / name / member_file(each)).read_bytes())
            for each in MODALITIES
        }
        checksums = {file: digest.hexdigest() for file, digest in files.items()}
        at.write_text(replace(summary, progress=progress, files=checksums).to_json())
    first = latest | {"checkpoint_dir_name": "epoch-00001"}
    snapshot["checkpoint_results"] = [first, latest]
    (path / SNAPSHOT).write_text(json.dumps(snapshot))
    (path / "science.json").unlink()
    run.claim(IDENTITY)
    run.write_json("tracked.json", {"uri": "sqlite:///mlflow.db"})
    run.add_mesh(TrainingPoint(0), 1, 1)
    run.add_mesh(TrainingPoint(1), 2, 1)


STICK = {
    "name": "stick",
    "channels": 3,
    "centre": "hip",
    "joints": ["hip", "head", "left_hand", "right_hand"],
    "bones": [["head", "hip"], ["left_hand", "head"], ["right_hand", "head"]],
    "parts": {"head": ["head"], "torso": ["hip"], "left_arm": ["left_hand"]},
}


def _own(folder: Path) -> None:
    """A table of four clips of two subjects: skeletons of each kind, and two videos."""
    random = np.random.default_rng(2)
    joints = random.normal(size=(2, 8, 4, 3)).astype(np.float32)
    pixels = random.uniform(10, 40, size=(2, 8, 4, 2))
    np.savez(folder / "a.npz", joints=joints, pixels=pixels)
    np.savez(folder / "b.npz", joints=joints[:1], pixels=pixels[:1])
    np.save(folder / "c.npy", joints[0])
    (folder / "d.json").write_text(json.dumps(joints[1].round(3).tolist()))
    images = numbered_images(8)
    (folder / "a.avi").write_bytes(encode_video(images))
    (folder / "b.mp4").write_bytes(encode_video(images, kind="mp4"))
    rows = (
        "sample_id,label,subject,camera,skeleton,video",
        "a,wave,1,1,a.npz,a.avi",
        "b,clap,2,1,b.npz,b.mp4",
        "c,wave,2,2,c.npy,",
        "d,clap,1,2,d.json,",
    )
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    (folder / "stick.yaml").write_text(yaml.safe_dump(STICK, sort_keys=False))


def _nw_ucla(folder: Path) -> None:
    with zipfile.ZipFile(write_nw_ucla_zip(folder / "nw_ucla.zip")) as packed:
        packed.extractall(folder / "files")


def _ntu(folder: Path) -> None:
    (folder / "files").mkdir()
    for performer in (1, 2, 3):
        track = Track(0, standing_body(np.random.default_rng(performer), 12))
        name = f"{clip_name(performer=performer)}.skeleton"
        (folder / "files" / name).write_text(SkeletonFile(12, [track]).text())
    _zip(folder)


def _zip(folder: Path) -> None:
    """Pack the files of an example."""
    with zipfile.ZipFile(folder / "files.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((folder / "files").iterdir()):
            if path.is_file():
                packed.write(path, path.name)


def _utd_mhad(folder: Path) -> None:
    poses = np.random.default_rng(1).uniform(-0.6, 0.6, (20, 3, 6))
    poses[:, 2] = 2.4
    depth = np.full((24, 32, 6), 2000, np.uint16)
    for subject in (1, 2):
        savemat(folder / f"a1_s{subject}_t1_skeleton.mat", {"d_skel": poses + subject / 100})
        savemat(folder / f"a1_s{subject}_t1_depth.mat", {"d_depth": depth + subject})


SPACE = {"contrast.temperature": Dimension(0.1, 0.5)}


def _search(folder: Path) -> None:
    """A study of three trials, the recipe of a search, and its best config."""
    study = open_study("mine", folder, _study_identity(), IDENTITY)
    for value in (0.5, 0.7, 0.6):
        trial = study.ask({"contrast.temperature": FloatDistribution(0.1, 0.5)})
        for name, attribute in (("epochs", 3), ("seconds", 1.5), ("run", "made")):
            trial.set_user_attr(name, attribute)
        study.tell(trial, value)
    recipe = {
        "study": "tiny",
        "trials": 3,
        "space": {
            "contrast.temperature": {"low": 0.03, "high": 0.5, "log": True},
            "optim.lr": {"choices": [0.001, 0.004]},
            "augment.random_frames": {"choices": [True, False]},
        },
        "model": {"widths": [16, 16], "heads": 2},
        "workers": "1:2",
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    best = best_config(Phase1Search(study="mine", space=SPACE), study.best_params, "The best.")
    (folder / "best.yaml").write_bytes(best)


def _study_identity() -> StudyIdentity:
    return StudyIdentity(SPACE, grace=3, reduction=3, config=IDENTITY.values)


def _ablation(folder: Path) -> None:
    write_small_store(folder / "store")
    lines = [json.dumps(asdict(_outcome(folder, name, seed))) for name, seed in ABLATED]
    (folder / "outcomes.jsonl").write_text("\n".join(lines) + "\n")


EXAMPLES: dict[str, Callable[[Path], None]] = {
    "ablation": _ablation,
    "ntu": _ntu,
    "nw_ucla": _nw_ucla,
    "own": _own,
    "run": _run,
    "search": _search,
    "store": _store,
    "utd_mhad": _utd_mhad,
    "workspace": _workspace,
}


# Readers: each calls what a command calls.


def _read_store(folder: Path) -> Reading:
    clips = load_clips(folder / "store", folder / "new cache")
    manifest = clips.manifest
    show_store(str(folder / "store"), manifest, {}, Console(file=io.StringIO()))
    splits = {
        f"{protocol}, {selection}": asdict(split_clips(clips, protocol, selection))
        for protocol in manifest.protocols
        for selection in (VAL, LITERATURE)
    }
    return Reading((manifest.digest, clips.skeletons, splits))


def _read_cached(folder: Path) -> Reading:
    clips = load_clips(folder / "store", folder / "cache")
    names = [each.name for each in fields(clips) if each.name != "manifest"]
    return Reading({name: np.array(getattr(clips, name)) for name in names})


def _one_run(folder: Path) -> RunFolder:
    return Workspace(str(folder)).run("first")


def _read_result(folder: Path) -> Reading:
    ((run,),) = (finished_runs(Workspace(str(folder)), ["first"]),)
    return Reading(run.result)


def _read_scores(folder: Path) -> Reading:
    """Fuse the run, as fuse.py does, and read its networks, as search.py fusion does."""
    with redirect_stdout(io.StringIO()):
        run_fixed_fusion(FixedFusion(["first"], str(folder)))
    return Reading(candidates_of_workspace(Workspace(str(folder)), ["first"]))


def _read_identity(folder: Path) -> Reading:
    _one_run(folder).claim(IDENTITY)
    return Reading("claimed")


def _read_meshes(folder: Path) -> Reading:
    run = _one_run(folder)
    run.add_mesh(TrainingPoint(1, 1), 2, 1)  # the mesh that it has already
    return Reading(run.meshes())


def _read_checkpoints(folder: Path) -> Reading:
    """Find the checkpoint from which the run resumes, and read it."""
    run = _one_run(folder)
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


def _whole_checkpoints(folder: Path) -> tuple[Any, ...]:
    run = _one_run(folder)
    return (FROM_START, _checkpoint(run, "epoch-00001"), _checkpoint(run, "epoch-00002"))


def _checkpoint(run: RunFolder, name: str) -> Any:
    files = run.sub(name)
    summary = parse_summary(files.read(STATE_FILE))
    weights = {each: dict(deserialize(files.read(member_file(each)))) for each in MODALITIES}
    return fingerprint((summary.config, summary.digest, summary.progress, weights))


def _read_guide(folder: Path) -> Reading:
    run = FinishedRun.read(_one_run(folder))
    return Reading([weights_digest(run, modality) for modality in MODALITIES])


def _option_names(kind: Any, prefix: str = "") -> tuple[str, ...]:
    """Return the dotted names of the fields of a dataclass, and of the dataclasses within it."""
    names: list[str] = []
    for name, hint in get_type_hints(kind).items():
        names.append(prefix + name)
        if is_dataclass(hint):
            names += _option_names(hint, f"{prefix}{name}.")
    return tuple(names)


def _read_config(file: str, kind: type) -> Callable[[Path], Reading]:
    def read(folder: Path) -> Reading:
        (path,) = folder.glob(file)
        job = parse_config("phase1.py", "", kind, [f"--config={path}"])
        if isinstance(job, Phase1Search):
            return Reading((asdict(job), repr(distributions(trial_job(job, {}), job.space))))
        return Reading(asdict(job))

    return read


def _read_fusion(folder: Path) -> Reading:
    workspace = Workspace(str(folder / "workspace"))
    (path,) = (folder / "workspace" / "fusions").iterdir()
    from hhmnet_core.files import folder as folder_at

    candidates = candidates_of_workspace(workspace, [PHASE1, PHASE2])
    result = read_fusion(folder_at(str(path)), candidates)
    if result is None:
        return Reading(None)
    Console(file=io.StringIO()).print(fusion_table(result))
    return Reading((result.searched, result))


def _read_ensemble(folder: Path) -> Reading:
    (path,) = folder.glob(f"workspace/ensembles/{ENSEMBLE}/ensemble.json")
    result = parse_ensemble(path.read_bytes(), str(path))
    with redirect_stdout(io.StringIO()):
        print_ensemble(result, f"example-{short_hash(result.identity())}")
    return Reading(result)


def _read_journal(folder: Path) -> Reading:
    study = open_study("mine", folder, _study_identity(), IDENTITY)
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


_read_own = _prepared(
    lambda folder, store: builders.prepare_own(
        str(folder / "clips.csv"), str(folder / "stick.yaml"), store, workers=1
    )
)
_read_nw_ucla = _prepared(
    lambda folder, store: builders.prepare_nw_ucla(str(folder / "files"), store, workers=1)
)
_read_ntu = _prepared(
    lambda folder, store: builders.prepare_ntu(str(folder / "files"), store, workers=1)
)
_read_utd_mhad = _prepared(
    lambda folder, store: builders.prepare_utd_mhad(str(folder), store, "depth", workers=1)
)


def _read_packed(prepare: Callable[..., Prepared], pack: bool) -> Callable[[Path], Reading]:
    def from_zip(folder: Path, store: str) -> Prepared:
        if pack:
            _zip(folder)
        (path,) = folder.glob("*.zip")
        return prepare(str(path), store, workers=1)

    return _prepared(from_zip)


ABLATED = (("all", 1), ("all", 2), ("no mask", 1), ("no mask", 2))


def _outcome(folder: Path, name: str, seed: int) -> runner.Outcome:
    subject, config = _ablation_subject(folder)
    values = subject.identity(subject.variant(config, name, seed))
    digest = runner.read_manifest(config.data.store).digest
    top1 = {"joint": 0.5, "fusion": 0.6 + seed / 100 - len(name) / 100}
    return runner.Outcome(name, seed, json.loads(json.dumps(values)), digest, top1)


def _ablation_subject(folder: Path) -> tuple[runner.Subject[Any], Phase1Config]:
    from hhmnet_platform.ablation.variants import phase1_ablation

    config = Phase1Config(data=DataConfig(store=str(folder / "store")))
    return phase1_ablation(config), config


def _read_outcomes(folder: Path) -> Reading:
    """Sum an ablation up; runs that the file lacks are made up in place of training."""
    subject, config = _ablation_subject(folder)
    subject = replace(subject, train=lambda variant, name: _outcome(folder, name, variant.seed))
    runner.ProcessPoolExecutor = lambda *_: ThreadPoolExecutor(1)  # type: ignore[assignment]
    out = io.StringIO()
    with redirect_stdout(out):
        runner.print_ablation(
            subject, config, ["all", "no mask"], [1, 2], 1, str(folder / "outcomes.jsonl")
        )
    return Reading(out.getvalue().rpartition("\n\n")[2])


def _resumed(kind: str, file: str) -> Format:
    return Format(kind, "run", file, _read_checkpoints, checked=True, equals=_whole_checkpoints)


def _config(example: str, file: str, kind: type) -> Format:
    # The key that is wrong leads to the file as well as the file's own name does.
    return Format("yaml", example, file, _read_config(file, kind), names=_option_names(kind))


_CHECKPOINT = "runs/first/epoch-00002"
FORMATS: dict[str, Format] = {
    "manifest": Format(
        "json", "store", "store/manifest.json", _read_store, checked=True, names=("the store",)
    ),
    "shard": Format("binary", "store", "store/clips-*.parquet", _read_store, checked=True),
    "node cache": Format("binary", "store", "cache/*.arrow", _read_cached, checked=True),
    "result": Format("json", "run", "runs/first/result.json", _read_result),
    "scores": Format("binary", "run", "runs/first/scores/*.parquet", _read_scores),
    "science": Format(
        "json", "run", "runs/first/science.json", _read_identity, names=("Run first",)
    ),
    "tracked": Format(
        "json", "run", "runs/first/tracked.json", lambda at: Reading(_one_run(at).is_tracked)
    ),
    "layouts": Format("json", "run", "runs/first/layouts.json", _read_meshes),
    "snapshot": _resumed("json", f"runs/first/{SNAPSHOT}"),
    "state": _resumed("json", f"{_CHECKPOINT}/state.json"),
    "weights": _resumed("binary", f"{_CHECKPOINT}/*.safetensors"),
    "guide's state": Format(
        "json", "run", f"{_CHECKPOINT}/state.json", _read_guide, checked=True
    ),
    "guide's weights": Format(
        "binary", "run", f"{_CHECKPOINT}/*.safetensors", _read_guide, checked=True
    ),
    "config": _config("run", "runs/first/config.yaml", Phase1Job),
    "space": _config("search", "space.yaml", Phase1Search),
    "best": _config("search", "best.yaml", Phase1Job),
    "journal": Format("json", "search", "study.journal", _read_journal),
    "fusion": Format("json", "workspace", f"workspace/fusions/{FUSION}/fusion.json", _read_fusion),
    "ensemble": Format(
        "json", "workspace", f"workspace/ensembles/{ENSEMBLE}/ensemble.json", _read_ensemble
    ),
    "own layout": Format("yaml", "own", "stick.yaml", _read_own),
    "own table": Format("csv", "own", "clips.csv", _read_own),
    "own npz": Format("binary", "own", "[ab].npz", _read_own),
    "own npy": Format("binary", "own", "c.npy", _read_own),
    "own json": Format("json", "own", "d.json", _read_own),
    "avi": Format("binary", "own", "a.avi", _read_own),
    "mp4": Format("binary", "own", "b.mp4", _read_own),
    "NW-UCLA": Format("json", "nw_ucla", "files/all_sqe/*.json", _read_nw_ucla),
    "NW-UCLA zip": Format(
        "binary", "nw_ucla", "nw_ucla.zip", _read_packed(builders.prepare_nw_ucla, pack=False)
    ),
    "NTU": Format("text", "ntu", "files/*.skeleton", _read_ntu),
    "NTU in a zip": Format(
        "text", "ntu", "files/*.skeleton", _read_packed(builders.prepare_ntu, pack=True)
    ),
    "NTU zip": Format("binary", "ntu", "files.zip", _read_packed(builders.prepare_ntu, pack=False)),
    "UTD-MHAD": Format(
        "binary", "utd_mhad", "*_skeleton.mat", _read_utd_mhad, names=("a1_s1_t1", "a1_s2_t1")
    ),
    "UTD-MHAD depth": Format("binary", "utd_mhad", "*_depth.mat", _read_utd_mhad),
    "outcomes": Format("json", "ablation", "outcomes.jsonl", _read_outcomes),
}  # fmt: skip
