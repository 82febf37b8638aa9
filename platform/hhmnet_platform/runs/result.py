"""The result of a run, made from its history and its score tables when training has ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import mean_class_accuracy, top1, top1_without_copies, top5
from hhmnet_core.fusion.scores import write_scores
from hhmnet_core.fusion.shrinkage import choose_weights
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.members import FUSION
from hhmnet_platform.presentation.labels import WITHOUT_COPIES_METRIC
from hhmnet_platform.runs.phase import Tables
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.results import FittedFusion, MemberResult, RunResult
from hhmnet_platform.storage.scores import load_all_scores, scores_file

FITTED = "fitted"  # the fusion with fitted weights, in names of files and metrics


@dataclass(frozen=True)
class ScoredRun:
    """A trained run with all its score tables.

    Attributes:
        run: The run.
        tables: Score tables by split, by member: the networks that are fused, and the fusion.
        fusion_metrics: Metrics of the fusion that workers did not report.
    """

    run: Run
    tables: dict[str, Tables]
    fusion_metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def complete(cls, run: Run) -> "ScoredRun":
        """Write the score tables that workers did not, and return all of them."""
        phase = PHASES[run.phase]
        networks = phase.network_tables(run)
        metrics = phase.write_fusion(run, networks)
        return cls(run, networks | {FUSION: load_all_scores(run.folder, FUSION)}, metrics)

    @classmethod
    def read(cls, run: Run) -> "ScoredRun":
        """Return the score tables of a finished run."""
        tables = PHASES[run.phase].network_tables(run)
        return cls(run, tables | {FUSION: load_all_scores(run.folder, FUSION)})


def summarise(scored: ScoredRun, plan: MeshPlan, history: Sequence[EpochRecord]) -> RunResult:
    """Fit the fusion's weights and return the result of a trained run.

    Args:
        scored: The run with its score tables.
        plan: The workers that trained it.
        history: Record of each epoch.
    """
    run = scored.run
    tables = scored.tables
    fitted = fit_fusion(scored)
    members = PHASES[run.phase].guide_results(run, tables)
    last = history[-1].metrics
    for member in run.members:
        epoch = int(last[member].get("best/epoch", len(history))) if member != FUSION else None
        members[member] = MemberResult.of(tables[member], epoch)
    return RunResult(
        run=run.folder.name,
        phase=run.phase,
        dataset=run.clips.manifest.dataset,
        protocol=run.config.data.protocol,
        selection=run.config.data.selection,
        digest=run.tracked.digest,
        members=members,
        fitted=fitted,
        copies=tuple(sorted(tables[FUSION]["test"].copies)),
        not_filmed=max(len(t["test"]) for t in tables.values()) - len(tables[FUSION]["test"]),
        mesh=str(plan),
        mesh_history=run.folder.meshes(),
        seconds=round(sum(record.seconds for record in history), 3),
        checkpoint=checkpoint_name(TrainingPoint(len(history))),
        identity=run.identity.values,
        tags=dict(run.tracked.tags),
        history=_with_final_metrics(history, run.members, members, fitted, scored.fusion_metrics),
    )


def fit_fusion(scored: ScoredRun) -> FittedFusion | None:
    """Fit the weights of the networks' logits on validation, as far as it can tell them apart.

    Writes the fusion's score tables. Returns None where there is no validation split.
    """
    networks = {name: tables for name, tables in scored.tables.items() if name != FUSION}
    if not all("val" in tables for tables in networks.values()):
        return None
    val, test = (
        keep_shared_clips([t[split] for t in networks.values()]) for split in ("val", "test")
    )
    choice = choose_weights(val)
    weights = choice.weights
    fused = {"val": fuse(val, weights.tolist()), "test": fuse(test, weights.tolist())}
    for split, table in fused.items():
        write_scores(table, f"{scored.run.folder.uri}/{scores_file(FITTED, split)}")
    shares = (weights / weights.sum()).tolist()
    return FittedFusion(
        dict(zip(networks, shares, strict=True)),
        top1(fused["val"]),
        top1(fused["test"]),
        top1_without_copies(fused["test"]),
        choice.basis,
        top5(fused["test"]),
        mean_class_accuracy(fused["test"]),
    )


def _with_final_metrics(
    history: Sequence[EpochRecord],
    trained: Sequence[str],
    members: dict[str, MemberResult],
    fitted: FittedFusion | None,
    fusion_metrics: dict[str, float],
) -> tuple[EpochRecord, ...]:
    """Return the history with the metrics of the finished run in its last record."""
    last = dict(history[-1].metrics)
    last[FUSION] = last.get(FUSION, {}) | fusion_metrics | _fitted_metrics(fitted)
    for member in trained:
        without_copies = members[member].test_top1_without_copies
        if without_copies is not None:
            last[member] = last[member] | {WITHOUT_COPIES_METRIC: without_copies}
    return (*history[:-1], replace(history[-1], metrics=last))


def _fitted_metrics(fitted: FittedFusion | None) -> dict[str, float]:
    if fitted is None:
        return {}
    metrics = {f"{FITTED}/val_top1": fitted.val_top1, f"{FITTED}/test_top1": fitted.test_top1}
    if fitted.test_top1_without_copies is not None:
        metrics[f"{FITTED}/test_top1_without_copies"] = fitted.test_top1_without_copies
    return metrics
