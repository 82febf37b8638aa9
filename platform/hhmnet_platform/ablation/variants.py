"""The variants of an ablation: components of phase 1; guidance and part contrast of phase 2."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import top1, top1_without_copies
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.models.registry import encoder_type
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.checkpoints import read_summary, recorded_config
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2 import fitting as phase2
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import read_phase1_config
from hhmnet_core.training.stream import read_tensors
from hhmnet_platform.ablation.runner import WHOLE, Changes, Outcome, Subject
from hhmnet_platform.storage.checkpoints import parse_checkpoint_name

PHASE1: Mapping[str, Changes] = {
    WHOLE: {},
    "no mask": {"model": {"mask": False}},
    "no re-ranking": {"model": {"rerank": False}},
    "no selection": {"model": {"select": False}},
    "plain temporal convolution": {"model": {"select": False, "branches": [(5, 1)]}},
    "no contrast": {"contrast": {"weight": 0.0}},
}
PHASE2: Mapping[str, Changes] = {
    WHOLE: {},
    "uniform guidance": {"guidance": {"mode": "uniform"}},
    "random guidance": {"guidance": {"mode": "random"}},
    "no guidance": {"guidance": {"mode": "off"}},
    "whole-body contrast": {"parts": {"mode": "body"}},
    "no part contrast": {"parts": {"mode": "off"}},
    "neither": {"guidance": {"mode": "off"}, "parts": {"mode": "off"}},
}


def phase1_ablation(config: Phase1Config) -> Subject[Phase1Config]:
    """Return the ablation of phase 1, limited to the settings that the encoder uses."""
    settings = encoder_type(config.model.name).settings
    variants = {
        name: changes
        for name, changes in PHASE1.items()
        if settings >= set(changes.get("model", ()))
    }
    return Subject(variants, "fusion", recorded_config, _train_phase1)


def phase2_ablation(run: str) -> Subject[Phase2Config]:
    """Return the ablation of phase 2 under the guidance of a phase-1 run.

    Args:
        run: Folder of the run, or of one of its checkpoints.

    Raises InputError where there is no checkpoint.
    """
    task = _Phase2(str(last_checkpoint(Path(run))))
    return Subject(PHASE2, "video", task.identity, task.train)


def last_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint of a run's folder, or the folder if it is a checkpoint."""
    if (folder / "state.json").exists():
        return folder
    checkpoints = sorted(folder.glob("epoch-*"), key=lambda path: parse_checkpoint_name(path.name))
    if not checkpoints:
        raise InputError(
            f"{folder} is neither a run's folder nor a checkpoint: give the folder of a finished "
            "phase-1 run, such as workspace/runs/NAME."
        )
    return checkpoints[-1]


def _train_phase1(config: Phase1Config, name: str) -> Outcome:
    torch.set_num_threads(1)
    clips = load_training_clips(config.data)
    *_, last = phase1.fit(config, clips, Mesh())
    accuracies = top1s({table.modality: table for table in last.scores if table.split == "test"})
    identity = recorded_config(config)
    return Outcome(name, config.seed, identity, clips.manifest.digest, accuracies)


@dataclass(frozen=True)
class _Phase2:
    checkpoint: str

    def identity(self, config: Phase2Config) -> dict[str, object]:
        return recorded_config(config, _digest(self.checkpoint, config.guidance.modality))

    def train(self, config: Phase2Config, name: str) -> Outcome:
        torch.set_num_threads(1)
        clips, footage = load_clips(config.data.store), load_footage(config.data.store)
        checkpoint = Path(self.checkpoint)
        *_, last = phase2.fit(config, clips, footage, checkpoint, Mesh())
        (video,) = (table for table in last.scores if table.split == "test")
        skeleton = _skeleton_scores(self.checkpoint, config.data.store)
        tables = keep_shared_clips([*skeleton, video])
        compared = {"skeleton": fuse(tables[:-1]), "video": tables[-1], FUSION: fuse(tables)}
        digest, identity = clips.manifest.digest, self.identity(config)
        return Outcome(name, config.seed, identity, digest, top1s(compared))


def top1s(tables: Mapping[str, ScoreTable]) -> dict[str, float]:
    """Return the top-1 of test tables, and of the fusion without copies where it has any."""
    accuracies = {name: top1(table) for name, table in tables.items()}
    novel = top1_without_copies(tables[FUSION])
    return accuracies if novel is None else accuracies | {f"{FUSION} without copies": novel}


@cache
def _skeleton_scores(checkpoint: str, store: str) -> list[ScoreTable]:
    """Return the phase-1 run's own test tables of the four modalities, made once per process."""
    clips = load_clips(store)
    config = read_phase1_config(Path(checkpoint), clips)
    (report,) = phase1.fit(config, clips, Mesh(), resume=Path(checkpoint))
    return [t for t in report.scores if t.modality in MODALITIES and t.split == "test"]


@cache
def _digest(checkpoint: str, modality: str) -> str:
    folder = Path(checkpoint)
    return read_tensors(folder, read_summary(folder, "phase1"), modality)[1]
