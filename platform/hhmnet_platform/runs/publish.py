"""Publishing a finished run: figures, result.json, MLflow, and a table in the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console

import hhmnet_platform
from hhmnet_core.deploy.folders import write_model
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.passwords import without_password
from hhmnet_platform.members import FUSION
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.result import ScoredRun
from hhmnet_platform.runs.run import Run
from hhmnet_platform.runs.run_pages import (
    ERRORS,
    SIMILARITY,
    error_table,
    fitted_params,
    notes_of,
    similarity_table,
)
from hhmnet_platform.storage.checkpoints import TrainingPoint
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.models import MODEL, has_model, run_model
from hhmnet_platform.storage.results import RESULT, RunResult
from hhmnet_platform.storage.run_folder import CONFIG, TRACKED, RunFolder
from hhmnet_platform.storage.scores import scores_file
from hhmnet_platform.storage.workspace import absolute_uri, default_workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.tables import Table
from hhmnet_platform.tracking.tracked_run import Ending
from hhmnet_platform.tracking.uri import with_options

if TYPE_CHECKING:
    from hhmnet_platform.presentation.drawing import Drawing

CHECKOUT = Path(hhmnet_platform.__file__).resolve().parents[2]  # has the Makefile
MLFLOW_SECONDS = 90.0  # to wait for MLflow at the end of a run
SLOWEST_UPLOAD = 1e6  # bytes of a model per second that are waited for
CHARTS = "compareRunsMode=CHART"  # MLflow's page of runs, with their curves


def publish(scored: ScoredRun, result: RunResult, tracker: BackgroundTracker) -> None:
    """Write result.json, then figures, then MLflow: no figure can cost the result of a training.

    Where that fails after the first step, the run's command does the rest.
    """
    from hhmnet_platform.figures.run import drawings_of  # matplotlib would slow the start of a run

    run = scored.run
    tracker.update(result.history)
    if run.folder.read_result() is None:
        run.folder.write_result(result)
    model = write_run_model(run, result)
    files: dict[str, dict[str, bytes]] = {}
    tables_of: dict[str, dict[str, Table]] = {}
    for member in run.members:
        tables = scored.tables[member]
        drawings = drawings_of(member, result.history, tables.get("test") or tables.get("val"))
        tables_of[member] = {ERRORS: error_table(tables["test"])}
        if similarity := similarity_table(result.history[-1].metrics.get(member, {})):
            tables_of[member][SIMILARITY] = similarity
        files[member] = _write_figures(run, drawings, f"{member}-") | {
            f"scores/{split}.parquet": run.folder.files.read(scores_file(member, split))
            for split in tables
        }
    extra = PHASES[run.phase].extra_figures(run, scored.tables, result.history[-1])
    files[FUSION] |= _write_figures(run, extra)
    files[FUSION] |= {name: run.folder.files.read(name) for name in (CONFIG, RESULT)}
    is_trial = bool(run.tracked.parent)  # a search has many, and its best one is trained by itself
    logged = None if is_trial else model
    seconds = MLFLOW_SECONDS + (logged.size / SLOWEST_UPLOAD if logged else 0)
    address = logged.uri if logged else ""
    ending = Ending(
        "FINISHED",
        files,
        _mesh_history_tags(result),
        address,
        tables_of,
        notes_of(result, run.members, model is not None),
        fitted_params(result),
    )
    if tracker.finish(ending, seconds):
        tracked = {"uri": run.tracked.uri, "page": tracker.page}
        if tracker.model is not None:
            if tracker.model.note:
                print(f"note: {tracker.model.note}")
            tracked["model"] = tracker.model.uri
        run.folder.write_json(TRACKED, tracked)
        run.folder.remove_earlier_checkpoints(result.checkpoint)


def is_published(folder: RunFolder) -> bool:
    """Return whether MLflow holds all of a finished run, with its model, if it has one.

    That of a trial is logged when the trial's config is trained by itself.
    """
    tracked = folder.read_json(TRACKED)
    return tracked is not None and ("model" in tracked or not has_model(f"{folder.uri}/{MODEL}"))


@dataclass(frozen=True)
class WrittenModel:
    """A model that was written: the URI of its folder, and its size in bytes."""

    uri: str
    size: int


def write_run_model(run: Run, result: RunResult) -> WrittenModel | None:
    """Write the model of a finished run. Print why it has none, and return None then."""
    finished = FinishedRun(run.folder, result)
    try:
        files = run_model(finished, run.clips.manifest, run.guide)
    except AccessError:
        raise
    except InputError as error:
        print(f"note: no model is written. {error}")
        return None
    uri = f"{run.folder.uri}/{MODEL}"
    write_model(files, uri)
    return WrittenModel(uri, sum(map(len, files.values())))


def _write_figures(
    run: Run, drawings: "Mapping[str, Drawing]", prefix: str = ""
) -> dict[str, bytes]:
    """Draw figures into the run's folder; return them by their artifact path, without a prefix.

    Args:
        run: The run.
        drawings: Functions that draw, by file name.
        prefix: Prefix of the names in the run's folder.
    """
    from hhmnet_platform.presentation.drawing import draw_figures

    images = draw_figures({f"{prefix}{name}": draw for name, draw in drawings.items()})
    for name, png in images.items():
        run.folder.files.write(f"figures/{name}", png)
    return {f"figures/{name.removeprefix(prefix)}": png for name, png in images.items()}


def _mesh_history_tags(result: RunResult) -> dict[str, str]:
    """Return the tag that lists the meshes of an elastic run."""
    meshes = [
        f"{data} x {modality} {TrainingPoint(epoch, step)}"
        for epoch, step, data, modality in result.mesh_history
    ]
    return {tags.MESH_HISTORY: "; ".join(meshes)} if meshes else {}


def print_result(run: Run, result: RunResult) -> None:
    """Print the table of a finished run, and where its files and its MLflow page are."""
    from hhmnet_platform.figures.run import result_table

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(result_table(result))
    for line in location_lines(run.folder, run.tracked.uri, run.tracked.experiment):
        console.print(line, markup=False, emoji=False)


def location_lines(folder: RunFolder, tracking_uri: str, experiment: str) -> list[str]:
    """Return lines that lead to the files of a finished run and to its MLflow page."""
    tracked = folder.read_json(TRACKED)
    tracking_uri = without_password(tracking_uri)
    lines = [f"Files    {folder.files.uri}"]
    if has_model(f"{folder.uri}/{MODEL}"):
        lines.append(f"Model    {folder.files.uri}/{MODEL}")
    if tracked is None:
        return [
            *lines,
            f"MLflow   {tracking_uri} is incomplete for this run: give the same command again to "
            "write what is missing.",
        ]
    if registered := tracked.get("model"):
        lines.append(f"Registry {registered}")
    lines.append(f"MLflow   {tracking_uri}, experiment {experiment}, run {folder.name}")
    page = with_options(tracked["page"], CHARTS)
    if tracking_uri.startswith("sqlite"):
        command = _ui_command(str(Path(folder.uri).parent.parent))
        database = quote(tracking_uri)
        lines.append(f"Open it  {command}, or: mlflow ui --backend-store-uri {database}")
        lines.append(f"         then http://127.0.0.1:5000/{page}")
    else:
        lines.append(f"Open it  {tracking_uri.rstrip('/')}/{page}")
    return lines


def _ui_command(workspace: str) -> str:
    """Return the command that opens MLflow's pages, as it is typed in the current folder."""
    is_default = workspace == absolute_uri(default_workspace())
    if (CHECKOUT / "Makefile").exists() and Path.cwd() == CHECKOUT:
        return "make ui" if is_default else f"make ui WORKSPACE={quote(workspace)}"
    return "hhmnet ui" if is_default else f"hhmnet ui --workspace {quote(workspace)}"
