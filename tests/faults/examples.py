"""Valid examples of every file format, each written into an empty folder."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from earlier_version import PHASE1, unpack
from field_files import write_annotations, write_padded
from made_stores import write_small_store
from ntu_files import SkeletonFile, Track, clip_name, standing_body
from nw_ucla_files import write_nw_ucla_zip
from optuna.distributions import FloatDistribution
from person_videos import encode, moving
from random_models import random_clips, write_random_model
from scipy.io import savemat
from video_files import encode_video, numbered_images

from hhmnet_core.fusion.scores import read_scores, write_scores
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.poses.fetching import fetch_models
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips, read_manifest
from hhmnet_core.training.checkpoints import STATE_FILE, member_file, parse_summary
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.grid import Subject
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.search.config import Phase1Search, StudyIdentity, best_config
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.search.storage import open_storage
from hhmnet_platform.search.study import open_study
from hhmnet_platform.storage.checkpoints import TrainingPoint
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.models import ensure_run_model
from hhmnet_platform.storage.run_folder import SNAPSHOT, RunFolder
from hhmnet_platform.storage.run_identity import RunIdentity
from hhmnet_platform.storage.workspace import Workspace


def _store(folder: Path) -> None:
    write_small_store(folder / "store")
    load_clips(folder / "store", folder / "cache")


def _workspace(folder: Path) -> None:
    """The workspace of an earlier version: runs, scores, a fusion, an ensemble; a run's model."""
    store, workspace = unpack(folder)
    run = FinishedRun.read(Workspace(str(workspace)).run(PHASE1))
    ensure_run_model(run, str(store))


IDENTITY = RunIdentity(Phase1Config(data=DataConfig(store="/data/films")), "digest")


def _run(folder: Path) -> None:
    """A run with two checkpoints, as this version writes them, and all of its small files."""
    _, workspace = unpack(folder / "old")
    path = folder / "runs" / "first"
    shutil.copytree(workspace / "runs" / PHASE1, path)
    shutil.rmtree(folder / "old")
    run = RunFolder("first", str(path))
    for table in (path / "scores").iterdir():
        write_scores(read_scores(table), table)  # with a checksum
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


def _poses(folder: Path) -> None:
    """A table of two videos of a person; the models that find the person are fetched."""
    fetch_models()
    for name in ("a", "b"):
        (folder / f"{name}.mp4").write_bytes(encode(moving(4)))
    rows = ("sample_id,label,subject,video", "a,wave,1,a.mp4", "b,clap,2,b.mp4")
    (folder / "videos.csv").write_text("\n".join(rows) + "\n")


def _field(folder: Path) -> None:
    write_annotations(folder / "field.pkl")
    write_padded(folder / "field.npz")


def _nw_ucla(folder: Path) -> None:
    with zipfile.ZipFile(write_nw_ucla_zip(folder / "nw_ucla.zip")) as packed:
        packed.extractall(folder / "files")


def _ntu(folder: Path) -> None:
    (folder / "files").mkdir()
    for performer in (1, 2, 3):
        track = Track(0, standing_body(np.random.default_rng(performer), 12))
        name = f"{clip_name(performer=performer)}.skeleton"
        (folder / "files" / name).write_text(SkeletonFile(12, [track]).text())
    pack(folder)


def pack(folder: Path) -> None:
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


def _model(folder: Path) -> None:
    """A model, a list of recordings for it, and a map of classes."""
    write_random_model(folder / "model", threshold=0.4)
    for number, clip in enumerate(random_clips(2)):
        np.save(folder / f"clip{number}.npy", clip)
    (folder / "list.csv").write_text(
        "skeleton,sample_id,fps\nclip0.npy,first,30\nclip1.npy,second,25.5\n"
    )
    (folder / "classes.yaml").write_text("going up: raise\n'2': lower\n")


def _search(folder: Path) -> None:
    """A study of three trials, the recipe of a search, and its best config."""
    study = open_study("mine", open_storage("", folder), study_identity(), IDENTITY)
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


def study_identity() -> StudyIdentity:
    return StudyIdentity(SPACE, grace=3, reduction=3, config=IDENTITY.values)


def _ablation(folder: Path) -> None:
    write_small_store(folder / "store")
    lines = [json.dumps(asdict(outcome(folder, name, seed))) for name, seed in ABLATED]
    (folder / "outcomes.jsonl").write_text("\n".join(lines) + "\n")
    design = {
        "reference": "as it is",
        "threshold": {"errors": 2, "pairs": 16},
        "seeds": [1, 2],
        "modalities": ["joint"],
        "benches": [{"protocol": "xview", "steps": 10}, {"folds": 2, "name": "people"}],
        "variants": {"as it is": {}, "smaller": {"model.widths": [16], "optim.lr": 0.5}},
    }
    (folder / "design.yaml").write_text(yaml.safe_dump(design, sort_keys=False))


ABLATED = (("all", 1), ("all", 2), ("no mask", 1), ("no mask", 2))


def outcome(folder: Path, name: str, seed: int) -> Outcome:
    subject, config = ablation_subject(folder)
    values = subject.identity(subject.variant(config, name, seed))
    digest = read_manifest(config.data.store).digest
    top1 = {"joint": 0.5, "fusion": 0.6 + seed / 100 - len(name) / 100}
    return Outcome(name, seed, json.loads(json.dumps(values)), digest, top1)


def ablation_subject(folder: Path) -> tuple[Subject[Any], Phase1Config]:
    from hhmnet_platform.ablation.variants import phase1_ablation

    config = Phase1Config(data=DataConfig(store=str(folder / "store")))
    return phase1_ablation(config), config


EXAMPLES: dict[str, Callable[[Path], None]] = {
    "ablation": _ablation,
    "ntu": _ntu,
    "nw_ucla": _nw_ucla,
    "own": _own,
    "poses": _poses,
    "field": _field,
    "run": _run,
    "model": _model,
    "search": _search,
    "store": _store,
    "utd_mhad": _utd_mhad,
    "workspace": _workspace,
}
