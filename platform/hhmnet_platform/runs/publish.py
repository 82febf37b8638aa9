"""What a finished run leaves behind: result.json, figures, MLflow, a table in the terminal."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hhmnet_core.fusion.scores import (
    ScoreTable,
    fuse,
    shared,
    top1,
    top1_without_copies,
    write_scores,
)
from hhmnet_core.fusion.weights import fit_weights
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.protocols import split
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.labels import WITHOUT_COPIES_KEY, WITHOUT_COPIES_METRIC
from hhmnet_platform.members import FUSION, VIDEO
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.run_folder import RESULT, TRACKED, RunFolder
from hhmnet_platform.storage.scores import SPLITS, load_scores
from hhmnet_platform.storage.workspace import local_copy
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import Tracker
from hhmnet_platform.tracking.run_writer import Ending

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FITTED = "fitted"  # the fusion whose weights are, in the names of files
CHECKOUT = Path(__file__).resolve().parents[3]  # where the Makefile lies, and its workspace
CHARTS = "?compareRunsMode=CHART"  # MLflow's page of runs, with their curves beside them


def summarise(run: Run, plan: MeshPlan, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run's result, as it goes to result.json."""
    last = history[-1]["metrics"]
    members: dict[str, Any] = {}
    more = fuse_with_skeleton(run) if run.guide else {}
    fitted = fit_fusion(run)
    if fitted:
        more |= {f"fitted/{name}": share for name, share in fitted.items() if name != "weights"}
        more |= {f"fitted/weight/{name}": weight for name, weight in fitted["weights"].items()}
    last = last | {FUSION: last.get(FUSION, {}) | more}
    not_filmed = 0
    if run.guide:
        skeleton, video = run.guide.result()["members"], _tables(run.folder, VIDEO)
        for modality, tables in _of_skeleton(run).items():
            filmed = {part: shared([video[part], table])[1] for part, table in tables.items()}
            members[modality] = _figures(filmed, skeleton[modality]["epoch"])
            not_filmed = len(tables["test"]) - len(filmed["test"])
    for member in run.members:
        epoch = int(last[member].get("best/epoch", len(history))) if member != FUSION else None
        members[member] = _figures(_tables(run.folder, member), epoch)
        if WITHOUT_COPIES_KEY in members[member]:
            last[member] = last[member] | {
                WITHOUT_COPIES_METRIC: members[member][WITHOUT_COPIES_KEY]
            }
    history = [*history[:-1], {**history[-1], "metrics": last}]
    return {
        "run": run.folder.name,
        "phase": run.phase,
        "dataset": run.clips.manifest.dataset,
        "protocol": run.config.data.protocol,
        "selection": run.config.data.selection,
        "digest": run.tracked.digest,
        "members": members,
        "fitted": fitted,
        "copies": sorted(_tables(run.folder, FUSION)["test"].copies),
        "not_filmed": not_filmed,
        "layout": str(plan),
        "layouts": run.folder.layouts(),
        "seconds": round(sum(record["seconds"] for record in history), 3),
        "checkpoint": checkpoint_name(TrainingPoint(len(history))),
        "science": run.science,
        "tags": dict(run.tracked.tags),
        "history": list(history),
    }


def _figures(tables: Mapping[str, ScoreTable], epoch: int | None) -> dict[str, Any]:
    """A row of the result: of a modality as it was after an epoch, of video, or of the fusion."""
    figures = {
        "epoch": epoch,
        "val_top1": float(top1(tables["val"])) if "val" in tables else None,
        "test_top1": float(top1(tables["test"])),
    }
    novel = top1_without_copies(tables["test"])
    return figures if novel is None else figures | {WITHOUT_COPIES_KEY: novel}


def publish(run: Run, result: Mapping[str, Any], tracker: Tracker) -> None:
    """Writes figures, then result.json, then MLflow; the run is complete before MLflow has it."""
    from hhmnet_platform.figures.run import figures_of  # not while a run starts: matplotlib is slow

    history = result["history"]
    tracker.update(history)
    files: dict[str, dict[str, bytes]] = {}
    for member in run.members:
        tables = _tables(run.folder, member)
        shown = tables.get("test") or tables.get("val")
        figures = figures_of(member, history, shown)
        for name, content in figures.items():
            run.folder.place.write(f"figures/{member}-{name}", content)
        files[member] = {f"figures/{name}": content for name, content in figures.items()} | {
            f"scores/{split}.parquet": run.folder.place.read(f"scores/{member}-{split}.parquet")
            for split in tables
        }
    if run.guide:
        for name, content in _both_streams(run, history).items():
            run.folder.place.write(f"figures/{name}", content)
            files[FUSION][f"figures/{name}"] = content
    if run.folder.read_json(RESULT) is None:
        run.folder.write_json(RESULT, result)
    for name in ("config.yaml", RESULT):
        files[FUSION][name] = run.folder.place.read(name)
    if tracker.finish(Ending("FINISHED", files, _layout_tags(result))):
        run.folder.write_json(TRACKED, {"uri": run.tracked.uri, "page": tracker.page})


def _layout_tags(result: Mapping[str, Any]) -> dict[str, str]:
    """What trained a run whose workers changed in number."""
    noted = [
        f"{data} x {modality} {TrainingPoint(epoch, step)}"
        for epoch, step, data, modality in result.get("layouts", ())
    ]
    return {tags.MESH_HISTORY: "; ".join(noted)} if noted else {}


def fuse_with_skeleton(run: Run) -> dict[str, float]:
    """Writes the fusion of the four skeletal modalities and video, with equal weights.

    Of the clips that have a video; each modality as its own run chose it. Returns its metrics, as
    phase 1 names those of its own fusion.
    """
    metrics = {}
    skeleton = _of_skeleton(run).values()
    for part, table in _tables(run.folder, VIDEO).items():
        fused = fuse(shared([table, *(tables[part] for tables in skeleton)]))
        write_scores(fused, f"{run.folder.uri}/scores/{FUSION}-{part}.parquet")
        metrics["best/val_top1" if part == "val" else f"{part}/top1"] = top1(fused)
    return metrics


def fit_fusion(run: Run) -> dict[str, Any]:
    """The fusion with weights fitted on val, by convex log-loss; {} where nothing was held out.

    Writes its score tables. The weights are of the members' logits, their sum is 1.
    """
    places = dict.fromkeys(run.members[:-1], run.folder)
    if run.guide:
        places = dict.fromkeys(MODALITIES, run.guide) | places
    tables = {member: _tables(place, member) for member, place in places.items()}
    if not all("val" in by_part for by_part in tables.values()):
        return {}
    val, test = (shared([by_part[part] for by_part in tables.values()]) for part in ("val", "test"))
    weights = fit_weights(val).weights
    found: dict[str, Any] = {
        "weights": dict(zip(tables, (weights / weights.sum()).tolist(), strict=True))
    }
    for part, of_part in (("val", val), ("test", test)):
        fused = fuse(of_part, weights.tolist())
        write_scores(fused, f"{run.folder.uri}/scores/{FITTED}-{part}.parquet")
        found[f"{part}_top1"] = top1(fused)
    if (novel := top1_without_copies(fused)) is not None:
        found[WITHOUT_COPIES_KEY] = novel
    return found


def _both_streams(run: Run, history: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Figures of skeleton and video beside each other."""
    from hhmnet_platform.figures.run import to_png
    from hhmnet_platform.figures.streams import SKELETON, class_gains, part_similarity, side_by_side

    assert run.guide
    skeleton = [load_scores(run.guide, modality, "test") for modality in MODALITIES]
    ours = [load_scores(run.folder, member, "test") for member in (VIDEO, FUSION)]
    *four, video, both = shared([*skeleton, *ours])
    tables = {SKELETON: fuse(four), VIDEO: video, FUSION: both}
    figures = {
        "compared-test.png": side_by_side(tables),
        "class-gains-test.png": class_gains(*tables.values()),
        "part-similarity.png": part_similarity(history[-1]["metrics"][VIDEO]),
        "guidance.png": _guidance(run),
    }
    return {name: to_png(figure) for name, figure in figures.items() if figure}


def _guidance(run: Run) -> "Figure":
    """Where the guide of phase 2 looks in test clips."""
    from hhmnet_platform.figures.guidance import guidance_figure

    data = run.config.data
    assert isinstance(run.config, Phase2Config)
    test = split(run.clips, data.protocol, data.selection).test.tolist()
    with ExitStack() as stack:
        checkpoint = local_copy(run.guide_checkpoint, stack)
        modality, footage = run.config.guidance.modality, load_footage(data.store)
        return guidance_figure(checkpoint, modality, run.clips, footage, test)


def print_result(run: Run, result: Mapping[str, Any]) -> None:
    """The table, and where everything is."""
    from hhmnet_platform.figures.run import result_table

    console = Console(highlight=False, soft_wrap=True)
    console.print(result_table(result))
    for line in where(run.folder, run.tracked.uri, run.tracked.experiment):
        console.print(line, markup=False, emoji=False)


def where(place: RunFolder, tracking_uri: str, experiment: str) -> list[str]:
    """Lines that lead to the files and to MLflow."""
    tracked = place.read_json(TRACKED)
    lines = [f"Files    {place.uri}"]
    if tracked is None:
        return [
            *lines,
            f"MLflow   {tracking_uri} lacks some of it: where nothing stands against it any more, "
            "the same command again writes what it misses.",
        ]
    lines.append(f"MLflow   {tracking_uri}, experiment {experiment}, run {place.name}")
    if tracking_uri.startswith("sqlite:"):
        workspace = Path(place.uri).parent.parent
        option = "" if workspace == CHECKOUT / "workspace" else f" WORKSPACE={workspace}"
        lines.append(f"Open it  make ui{option}, or: mlflow ui --backend-store-uri {tracking_uri}")
        lines.append(f"         then http://127.0.0.1:5000/{tracked['page']}{CHARTS}")
    else:
        lines.append(f"Open it  {tracking_uri.rstrip('/')}/{tracked['page']}{CHARTS}")
    return lines


def _of_skeleton(run: Run) -> dict[str, dict[str, ScoreTable]]:
    """The score tables of the guide's modalities, by the splits that video is scored on."""
    assert run.guide
    parts = _tables(run.folder, VIDEO)
    return {
        modality: {part: load_scores(run.guide, modality, part) for part in parts}
        for modality in MODALITIES
    }


def _tables(place: RunFolder, member: str) -> dict[str, ScoreTable]:
    """The score tables of a modality or of the fusion, by split."""
    names = set(place.sub("scores").names())
    if f"{member}-test.parquet" not in names:
        load_scores(place, member, "test")  # says what is lost
    return {
        split: load_scores(place, member, split)
        for split in SPLITS
        if f"{member}-{split}.parquet" in names
    }
