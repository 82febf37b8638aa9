"""Jobs of the ablations: a phase's config, and the variants and seeds to train it with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.models.registry import encoder_type
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.benches import open_bench
from hhmnet_platform.ablation.design import BenchDesign, Design, parse_benches, read_design
from hhmnet_platform.ablation.grid import Bench, Subject, plan_runs
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.ablation.plan import Ablation, AblationOptions
from hhmnet_platform.ablation.run import run_ablation
from hhmnet_platform.ablation.tables import Threshold, decisions, knock_out_table, summary
from hhmnet_platform.ablation.variants import (
    PHASE2,
    Phase1Training,
    is_run_or_checkpoint,
    phase1_ablation,
    phase2_ablation,
)
from hhmnet_platform.runs.guiding_run import find_guiding_run
from hhmnet_platform.storage.workspace import Workspace, absolute_uri

_SEEDS = (1, 2, 3)


@dataclass
class Phase1Ablation(AblationOptions, Phase1Config):
    """An ablation of phase 1.

    Attributes:
        variants: Names of the variants to train. Default: all.
        variants_file: YAML file, or name of a recipe, with variants, benches, seeds, modalities and
            the threshold that decides. Default: the built-in variants and a plain table.
        reference: Variant that the others are compared to. Default: the file's, else the first.
        benches: Data to train every variant on, as in the file. Default: the file's, else
            --data.store and --data.protocol.
        modalities: Modalities that are trained together. Default: the file's, else all four.
        seeds: Random seeds, each for every variant, in place of `seed`. Default: the file's, else
            1, 2 and 3.
        knock_outs: Whether parts of each trained ST&ST encoder are also switched off or exchanged
            while it is scored.
    """

    variants: list[str] | None = None
    variants_file: str = ""
    reference: str = ""
    benches: list[dict[str, Any]] | None = None
    modalities: list[str] | None = None
    seeds: list[int] | None = None
    knock_outs: bool = False


@dataclass
class Phase2Ablation(AblationOptions, Phase2Config):
    """An ablation of phase 2.

    Attributes:
        phase1: Phase-1 run that guides: its name in the workspace, its folder or that of a
            checkpoint, the id of one of its runs in MLflow, or its model (models:/NAME/1 or
            runs:/ID).
        variants: Names of the variants to train.
        seeds: Random seeds, each for every variant, in place of `seed`.
    """

    phase1: str = ""
    variants: list[str] = field(default_factory=lambda: list(PHASE2))
    seeds: list[int] = field(default_factory=lambda: list(_SEEDS))


def run_phase1_ablation(job: Phase1Ablation) -> None:
    """Run an ablation of phase 1. Raises InputError for anything the user can cause."""
    design = read_design(job.variants_file) if job.variants_file else Design()
    threshold = design.threshold
    store = absolute_uri(job.data.store) if job.data.store else ""
    data = replace(job.data, store=store)
    config = Phase1Config(data, job.model, job.augment, job.contrast, job.optim)
    modalities = (design.modalities or MODALITIES) if job.modalities is None else job.modalities
    training = Phase1Training(
        Mesh.of(modalities).trained,
        job.knock_outs,
        needs_log_loss=threshold is not None,
    )
    subject = phase1_ablation(
        config, design.variants or None, job.reference or design.reference, training
    )
    names = list(subject.variants) if job.variants is None else list(job.variants)
    if threshold and subject.reference not in names:
        names.insert(0, subject.reference)
    seeds = job.seeds if job.seeds is not None else design.seeds or list(_SEEDS)
    given = design.benches if job.benches is None else parse_benches(job.benches, "--benches")
    if given or threshold:
        given = given or [BenchDesign()]
        if job.seeds is not None:  # an option wins over a file
            given = [replace(each, seeds=[]) for each in given]
        benches = [open_bench(each, config, seeds, threshold is not None) for each in given]
    else:
        benches = [_only_bench(config, seeds)]
    tasks = plan_runs(subject, benches, names)
    if job.knock_outs:
        _check_encoders({task.config.model.name for task in tasks})
    if threshold:
        print(
            f"{len(tasks)} runs; a difference in log-loss to {subject.reference!r} counts beyond "
            f"{threshold.errors:g} standard errors over at least {threshold.pairs} pairs of bench "
            "and seed.",
            flush=True,
        )
    identity = _identity(subject, config) | {"modalities": list(training.modalities)}
    tables = partial(phase1_tables, subject, threshold, job.knock_outs)
    run_ablation(Ablation(subject, benches, tasks, identity, tables), job)


def run_phase2_ablation(job: Phase2Ablation) -> None:
    """Run an ablation of phase 2. Raises InputError for anything the user can cause."""
    _check_store(job.data.store)
    given = {each.name: getattr(job, each.name) for each in fields(Phase2Config)}
    data = replace(job.data, store=absolute_uri(job.data.store))
    config = Phase2Config(**given | {"data": data})
    subject = phase2_ablation(guide_of(job))
    benches = [Bench("", config, job.seeds)]
    tasks = plan_runs(subject, benches, job.variants)
    identity = _identity(subject, config)
    run_ablation(Ablation(subject, benches, tasks, identity, partial(summary, subject)), job)


def phase1_tables(
    subject: Subject[Phase1Config],
    threshold: Threshold | None,
    knock_outs: bool,
    outcomes: Sequence[Outcome],
) -> str:
    """Return the tables of outcomes, of which there is one at least, as Markdown.

    Args:
        subject: The phase.
        threshold: Difference that decides. None: tables without decisions.
        knock_outs: Whether knock-outs have a table.
        outcomes: Outcomes of finished runs.
    """
    text = decisions(subject, outcomes, threshold) if threshold else summary(subject, outcomes)
    if knock_outs:
        text += f"\n\nKnocked out while scored:\n\n{knock_out_table(subject, outcomes)}"
    return text


def guide_of(job: Phase2Ablation) -> str:
    """Return the folder of the guiding run, or of its checkpoint. Raises InputError for neither."""
    if job.phase1 and is_run_or_checkpoint(uri := absolute_uri(job.phase1)):
        return uri
    workspace = Workspace(absolute_uri(job.workspace))
    return find_guiding_run(job.phase1, workspace, job.tracking_uri).folder.uri


def _identity(subject: Subject[Any], config: Any) -> JsonObject:
    """Return all that decides an ablation's results beside variants, benches and seeds."""
    decisive = subject.identity(config)
    del decisive["seed"], decisive["data"]["store"]
    store = config.data.store
    digest = read_manifest(store).digest if store else ""
    return {"phase": subject.phase, **decisive, "data.digest": digest}


def _only_bench(config: Phase1Config, seeds: list[int]) -> Bench[Phase1Config]:
    _check_store(config.data.store)
    return Bench("", config, seeds)


def _check_store(store: str) -> None:
    if not store:
        raise InputError("--data.store is missing: give a store that `hhmnet prepare` made.")


def _check_encoders(names: set[str]) -> None:
    for name in sorted(names):
        if encoder_type(name) is not Stst:
            raise InputError(
                f"--knock_outs is for the ST&ST encoder, but model.name is {name}: leave it out."
            )
