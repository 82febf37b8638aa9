"""Publishing a finished run: figures, result.json, MLflow, and a table in the terminal."""

from pathlib import Path
from shlex import quote

from rich.console import Console

import hhmnet_platform
from hhmnet_core.passwords import without_password
from hhmnet_platform.members import FUSION
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.result import ScoredRun
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.checkpoints import TrainingPoint
from hhmnet_platform.storage.results import RESULT, RunResult
from hhmnet_platform.storage.run_folder import CONFIG, TRACKED, RunFolder
from hhmnet_platform.storage.scores import scores_file
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.tracked_run import Ending

CHECKOUT = Path(hhmnet_platform.__file__).resolve().parents[2]  # has the Makefile's workspace
CHARTS = "?compareRunsMode=CHART"  # MLflow's page of runs, with their curves


def publish(scored: ScoredRun, result: RunResult, tracker: BackgroundTracker) -> None:
    """Write figures, then result.json, then MLflow: the run is finished before MLflow has it."""
    run = scored.run
    tracker.update(result.history)
    files = {member: _member_files(scored, result, member) for member in run.members}
    extra = PHASES[run.phase].extra_figures(run, scored.tables, result.history[-1])
    files[FUSION] |= _write_figures(run, extra)
    if run.folder.read_result() is None:
        run.folder.write_result(result)
    files[FUSION] |= {name: run.folder.files.read(name) for name in (CONFIG, RESULT)}
    if tracker.finish(Ending("FINISHED", files, _mesh_history_tags(result))):
        run.folder.write_json(TRACKED, {"uri": run.tracked.uri, "page": tracker.page})


def _member_files(scored: ScoredRun, result: RunResult, member: str) -> dict[str, bytes]:
    """Write the figures of a member; return them and its score tables by artifact path."""
    from hhmnet_platform.figures.run import figures_of  # matplotlib would slow the start of a run

    run, tables = scored.run, scored.tables[member]
    figures = figures_of(member, result.history, tables.get("test") or tables.get("val"))
    written = _write_figures(run, {f"{member}-{name}": png for name, png in figures.items()})
    artifacts = {
        f"figures/{name}": png for name, png in zip(figures, written.values(), strict=True)
    }
    return artifacts | {
        f"scores/{split}.parquet": run.folder.files.read(scores_file(member, split))
        for split in tables
    }


def _write_figures(run: Run, figures: dict[str, bytes]) -> dict[str, bytes]:
    """Write figures to the run's folder; return them by their path there."""
    files = {f"figures/{name}": png for name, png in figures.items()}
    for path, png in files.items():
        run.folder.files.write(path, png)
    return files


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

    console = Console(highlight=False, soft_wrap=True)
    console.print(result_table(result))
    for line in location_lines(run.folder, run.tracked.uri, run.tracked.experiment):
        console.print(line, markup=False, emoji=False)


def location_lines(folder: RunFolder, tracking_uri: str, experiment: str) -> list[str]:
    """Return lines that lead to the files of a finished run and to its MLflow page."""
    tracked = folder.read_json(TRACKED)
    tracking_uri = without_password(tracking_uri)
    lines = [f"Files    {folder.files.uri}"]
    if tracked is None:
        return [
            *lines,
            f"MLflow   {tracking_uri} is incomplete for this run: give the same command again to "
            "write what is missing.",
        ]
    lines.append(f"MLflow   {tracking_uri}, experiment {experiment}, run {folder.name}")
    if tracking_uri.startswith("sqlite"):
        workspace = Path(folder.uri).parent.parent
        is_usual = workspace == CHECKOUT / "workspace"
        option = "" if is_usual else f" WORKSPACE={quote(str(workspace))}"
        database = quote(tracking_uri)
        lines.append(f"Open it  make ui{option}, or: mlflow ui --backend-store-uri {database}")
        lines.append(f"         then http://127.0.0.1:5000/{tracked['page']}{CHARTS}")
    else:
        lines.append(f"Open it  {tracking_uri.rstrip('/')}/{tracked['page']}{CHARTS}")
    return lines
