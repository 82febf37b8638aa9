"""The variants of an ablation: components of phase 1; guidance and part contrast of phase 2."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.identity import JsonObject
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.models.registry import encoder_type
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.protocols import fold_of
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.checkpoints import STATE_FILE, read_summary, recorded_config
from hhmnet_core.training.epochs import train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.phase2 import fitting as phase2
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import read_phase1_config
from hhmnet_core.training.stream import read_tensors
from hhmnet_platform.ablation.grid import WHOLE, Changes, Subject, Task
from hhmnet_platform.ablation.knock_outs import by_member, score_knock_outs
from hhmnet_platform.ablation.outcomes import Outcome, scores_of
from hhmnet_platform.storage.checkpoints import is_checkpoint, parse_checkpoint_name
from hhmnet_platform.storage.workspace import local_copy

PHASE1: Mapping[str, Changes] = {
    WHOLE: {},
    "no mask": {"model.mask": False},
    "no re-ranking": {"model.rerank": False},
    "no selection": {"model.select": False},
    "plain temporal convolution": {"model.select": False, "model.branches": [[5, 1]]},
    "no context": {"model.context": []},
    "no contrast": {"contrast.weight": 0.0},
}
PHASE2: Mapping[str, Changes] = {
    WHOLE: {},
    "uniform guidance": {"guidance.mode": "uniform"},
    "random guidance": {"guidance.mode": "random"},
    "no guidance": {"guidance.mode": "off"},
    "whole-body contrast": {"parts.mode": "body"},
    "no part contrast": {"parts.mode": "off"},
    "neither": {"guidance.mode": "off", "parts.mode": "off"},
}


@dataclass(frozen=True)
class Phase1Training:
    """The training of a run of phase 1, and the figures that are kept of it.

    Attributes:
        modalities: Modalities that are trained together.
        knock_outs: Whether parts of the trained encoders are knocked out and scored.
        needs_log_loss: Whether an outcome of an earlier version, without log-loss, is no use.
    """

    modalities: tuple[str, ...] = MODALITIES
    knock_outs: bool = False
    needs_log_loss: bool = False

    def is_complete(self, outcome: Outcome) -> bool:
        """Return whether an outcome holds all that is asked for."""
        return (
            tuple(outcome.modalities) == self.modalities
            and (bool(outcome.knock_outs) or not self.knock_outs)
            and (bool(outcome.log_loss) or not (self.needs_log_loss or self.knock_outs))
        )

    def train(self, task: Task[Phase1Config]) -> Outcome:
        """Train and score a run on one thread."""
        torch.set_num_threads(1)
        config = task.config
        clips = load_training_clips(config.data)
        trainer = Phase1Trainer(config, clips, Mesh.of(self.modalities), torch.device("cpu"))
        started = time.process_time()
        for report in train(trainer, trainer.config.optim.epochs, None):
            tables = report.scores
        seconds = time.process_time() - started
        split = "val" if fold_of(config.data.selection) else "test"
        scores = scores_of(by_member([table for table in tables if table.split == split]))
        return Outcome(
            variant=task.variant,
            seed=config.seed,
            config=recorded_config(config),
            digest=clips.manifest.digest,
            top1=scores.top1,
            log_loss=scores.log_loss,
            bench=task.bench,
            modalities=list(trainer.members),
            split=split,
            seconds=seconds,
            knock_outs=score_knock_outs(trainer, split) if self.knock_outs else {},
        )


def phase1_ablation(
    config: Phase1Config,
    variants: Mapping[str, Changes] | None = None,
    reference: str = "",
    training: Phase1Training | None = None,
) -> Subject[Phase1Config]:
    """Return the ablation of phase 1.

    Args:
        config: Config of the whole.
        variants: Variants. None: the built-in ones, limited to the settings that the encoder uses.
        reference: Variant that the others are compared to. Empty: the first.
        training: Modalities of a run, and what is kept of it. None: all four, no knock-outs.

    Raises InputError for an unknown reference.
    """
    training = training or Phase1Training()
    if variants is None:
        settings = {f"model.{name}" for name in encoder_type(config.model.name).settings}
        variants = {
            name: changes
            for name, changes in PHASE1.items()
            if settings >= {field for field in changes if field.startswith("model.")}
        }
    reference = reference or next(iter(variants))
    if reference not in variants:
        raise InputError(f"Unknown reference {reference!r}; known are {', '.join(variants)}.")
    compared = FUSION if len(training.modalities) > 1 else training.modalities[0]
    return Subject(
        "phase1", variants, reference, compared, recorded_config, training.train,
        training.is_complete,
    )  # fmt: skip


def phase2_ablation(run: str) -> Subject[Phase2Config]:
    """Return the ablation of phase 2 under the guidance of a phase-1 run.

    Args:
        run: Absolute folder or URI of the run, or of one of its checkpoints.

    Raises InputError where there is no checkpoint.
    """
    task = _Phase2(last_checkpoint(run))
    return Subject("phase2", PHASE2, WHOLE, "video", task.identity, task.train)


def is_run_or_checkpoint(uri: str) -> bool:
    """Return whether a folder is a checkpoint, or holds one."""
    names = folder(uri).names()
    return STATE_FILE in names or any(map(is_checkpoint, names))


def last_checkpoint(uri: str) -> str:
    """Return the newest checkpoint of a run's folder, or the folder if it is a checkpoint."""
    names = folder(uri).names()
    if STATE_FILE in names:
        return uri
    checkpoints = sorted(filter(is_checkpoint, names), key=parse_checkpoint_name)
    if not checkpoints:
        raise InputError(
            f"{uri} is neither a run's folder nor a checkpoint: give the folder of a finished "
            "phase-1 run, such as workspace/runs/NAME."
        )
    return f"{uri}/{checkpoints[-1]}"


@dataclass(frozen=True)
class _Phase2:
    checkpoint: str

    def identity(self, config: Phase2Config) -> JsonObject:
        return recorded_config(config, _digest(self.checkpoint, config.guidance.modality))

    def train(self, task: Task[Phase2Config]) -> Outcome:
        torch.set_num_threads(1)
        config = task.config
        clips, footage = load_clips(config.data.store), load_footage(config.data.store)
        with _local_checkpoint(self.checkpoint) as checkpoint:
            started = time.process_time()
            *_, last = phase2.fit(config, clips, footage, checkpoint, Mesh())
            seconds = time.process_time() - started
        (video,) = (table for table in last.scores if table.split == "test")
        skeleton = _skeleton_scores(self.checkpoint, config.data.store)
        tables = keep_shared_clips([*skeleton, video])
        compared = {"skeleton": fuse(tables[:-1]), "video": tables[-1], FUSION: fuse(tables)}
        digest, identity = clips.manifest.digest, self.identity(config)
        scores = scores_of(compared)
        return Outcome(
            task.variant, config.seed, identity, digest, scores.top1, scores.log_loss,
            seconds=seconds,
        )  # fmt: skip


@contextmanager
def _local_checkpoint(uri: str) -> Iterator[Path]:
    """Yield the folder of a checkpoint; of one in a bucket, a copy."""
    with ExitStack() as stack:
        location = folder(uri)
        yield Path(location.path) if location.is_local else local_copy(uri, stack)


@cache
def _skeleton_scores(checkpoint: str, store: str) -> list[ScoreTable]:
    """Return the phase-1 run's own test tables of the four modalities, made once per process."""
    clips = load_clips(store)
    with _local_checkpoint(checkpoint) as path:
        config = read_phase1_config(path, clips)
        (report,) = phase1.fit(config, clips, Mesh(), resume=path)
    return [t for t in report.scores if t.modality in MODALITIES and t.split == "test"]


@cache
def _digest(checkpoint: str, modality: str) -> str:
    with _local_checkpoint(checkpoint) as path:
        return read_tensors(path, read_summary(path, "phase1"), modality)[1]
