"""What the MLflow pages of a finished run show beside its metrics: notes and tables."""

from collections.abc import Mapping

import numpy as np

from hhmnet_core.fusion.metrics import is_correct
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_platform.members import ALL, FUSION
from hhmnet_platform.presentation.labels import (
    WITHOUT_COPIES_HEADING,
    copies_note,
    markdown,
    not_filmed_note,
    percent,
)
from hhmnet_platform.storage.results import FittedFusion, MemberResult, RunResult
from hhmnet_platform.tracking.tables import Table

ERRORS, SIMILARITY = "errors.json", "similarity.json"
_NEXT = (
    f"- **Artifacts**: `{ERRORS}`, the misclassified test clips, the most confident first; "
    "`figures`, confusions, accuracy by class and curves",
    "- **Model metrics**: the curves over the epochs",
)


def notes_of(result: RunResult, members: tuple[str, ...], has_model: bool) -> dict[str, str]:
    """Return the Markdown on the page of each member: its result, and what to look at next.

    Args:
        result: The run's result.
        members: Members that have a page.
        has_model: Whether the run has a model to predict with.
    """
    notes = {}
    for member in members:
        if member == FUSION:
            text = [_title(result), *_result_rows(result), "", *_remarks(result)]
            following = [*_NEXT, "- **Child runs**: each network by itself"]
            if has_model:
                command = f"hhmnet predict --model {result.run} --input FILE"
                following.append(f"- **The model**: `{command}` in the same workspace")
        else:
            row = result.members[member]
            text = [f"**{member}** of {_title(result)}", *_table(result, {member: row}), ""]
            following = [*_NEXT, "- **Parent run**: the fusion of all networks"]
        notes[member] = "\n".join([*text, "To look at next:", "", *following])
    return notes


def error_table(table: ScoreTable) -> Table:
    """Return the misclassified clips of a score table, the most confident mistake first.

    Columns: clip, true, predicted, confidence (the softmax of the predicted class).
    """
    logits_nk = table.logits.astype(np.float64)
    exponentials_nk = np.exp(logits_nk - logits_nk.max(1, keepdims=True))
    confidence_n = exponentials_nk.max(1) / exponentials_nk.sum(1)
    predicted_n = logits_nk.argmax(1)
    wrong = np.flatnonzero(~is_correct(table))
    order = wrong[np.argsort(-confidence_n[wrong], kind="stable")]
    return {
        "clip": [table.sample_ids[i] for i in order],
        "true": [table.class_names[table.labels[i]] for i in order],
        "predicted": [table.class_names[predicted_n[i]] for i in order],
        "confidence": [round(float(confidence_n[i]), 4) for i in order],
    }


def similarity_table(metrics: Mapping[str, float]) -> Table | None:
    """Return the similarity of body parts as a table: a row per part in the video.

    Args:
        metrics: Metrics of the video network. `similarity/<part in video>/<part of skeleton>` are
            mean cosines; parts that no clip shows are missing.

    Returns:
        The table, or None without such metrics.
    """
    values = {
        (row, column): round(metrics[name], 4)
        for row in PARTS
        for column in PARTS
        if (name := f"similarity/{row}/{column}") in metrics
    }
    columns = {column: [values.get((row, column)) for row in PARTS] for column in PARTS}
    return {"part in the video": list(PARTS), **columns} if values else None


def fitted_params(result: RunResult) -> dict[str, str]:
    """Return the fitted weights of the fusion as params of its MLflow run."""
    weights = result.fitted.weights if result.fitted else {}
    return {f"fitted/weight/{name}": f"{weight:.4f}" for name, weight in weights.items()}


def _title(result: RunResult) -> str:
    return (
        f"**{markdown(result.run)}**: {result.phase} on {markdown(result.dataset)}, protocol "
        f"{markdown(result.protocol)}\n"
    )


def _result_rows(result: RunResult) -> list[str]:
    # MLflow folds a long note: the run's own result comes first.
    rows: dict[str, MemberResult | FittedFusion] = {"fusion, equal weights": result.members[FUSION]}
    if result.fitted:
        rows["fusion, weights fitted on val"] = result.fitted
    networks = {name: result.members[name] for name in ALL if name in result.members}
    return _table(result, rows | {name: networks[name] for name in networks if name != FUSION})


def _table(result: RunResult, rows: Mapping[str, MemberResult | FittedFusion]) -> list[str]:
    """Return a Markdown table of accuracies; without columns that say nothing for this run."""
    columns = {
        "best epoch" if result.selection == "val" else "last epoch": [
            str(row.epoch or "") if isinstance(row, MemberResult) else "" for row in rows.values()
        ]
    }
    for heading, name in (
        ("val top-1", "val_top1"),
        ("test top-1", "test_top1"),
        (WITHOUT_COPIES_HEADING, "test_top1_without_copies"),
        ("test top-5", "test_top5"),
        ("test mean class accuracy", "test_mean_class_accuracy"),
    ):
        shares = [getattr(row, name) for row in rows.values()]
        if any(share is not None for share in shares):
            columns[heading] = [percent(share) for share in shares]
    head = ["", *columns]
    cells = zip(rows, *columns.values(), strict=True)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]


def _remarks(result: RunResult) -> list[str]:
    basis = result.fitted.basis if result.fitted else None
    remarks = [
        copies_note(len(result.copies)),
        not_filmed_note(result.not_filmed),
        f"Fitted on val: {basis.text}" if basis else None,
    ]
    return [line for remark in remarks if remark for line in (f"{remark}.", "")]
