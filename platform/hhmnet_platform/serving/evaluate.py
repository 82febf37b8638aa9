"""Testing a model on the clips of a store, such as another data set."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.model import NO_SCORES, load_model
from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import map_clip_set
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import LITERATURE, protocol_name, split_clips
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.presentation.labels import percent
from hhmnet_platform.serving.devices import choose_device
from hhmnet_platform.serving.evaluation import Evaluation, assess_predictions
from hhmnet_platform.serving.pairing import pair_classes, read_class_map
from hhmnet_platform.serving.predictions import check_new
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.record_files import format_record
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking.uri import default_tracking

SHOWN_CONFUSIONS = 5


@dataclass
class EvaluationData:
    """The clips that a model is tested on.

    Attributes:
        store: URI of the clip store.
        protocol: Name of a protocol of the store. Default: its first.
        split: Clips: test, train (val included) or all.
    """

    store: str = ""
    protocol: str = ""
    split: Literal["test", "train", "all"] = "test"


@dataclass
class EvaluationJob:
    """A test of a model.

    Attributes:
        model: Model: its folder, or the name or folder of a finished run, fusion or ensemble.
        data: Clips to test on. Skeletons of another layout are converted where there is a map.
        class_map: YAML file of pairs `name in the store: name in the model`. Other classes pair by
            their names; clips of classes without a pair are left out and counted.
        out: JSON file for the whole report. Default: none.
        overwrite: Replace a report that exists.
        batch: Number of clips that are predicted at a time.
        without_video: Leave out the video network of the model, and predict from skeletons alone.
        device: Device of the networks: auto (a GPU where there is one), cpu or cuda.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
    """

    model: str = ""
    data: EvaluationData = field(default_factory=EvaluationData)
    class_map: str = ""
    out: str = ""
    overwrite: bool = False
    batch: int = 64
    without_video: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= 65_536:
            raise InputError(f"batch must be 1 to 65536, but is {self.batch}.")


def run_evaluation(job: EvaluationJob) -> None:
    """Test a model, print the report, and write it.

    Raises InputError for anything the user can cause.
    """
    if not job.data.store:
        raise InputError("--data.store is missing: give the clip store to test the model on.")
    if job.out and not job.out.endswith(".json"):
        raise InputError(f"--out {job.out} is no .json: the report is written as JSON.")
    check_new(job.out, "--out", job.overwrite)
    report = evaluate(job)
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(report_table(report))
    console.print(class_table(report))
    for true, predicted, clips, share in report.confusions[:SHOWN_CONFUSIONS]:
        console.print(f"{true} taken for {predicted}: {clips} clips, {share:.0%} of its own")
    if job.out:
        folder, name = split_uri(job.out)
        folder.write(name, format_record(report))
        console.print(f"Written  {job.out}")


def evaluate(job: EvaluationJob) -> Evaluation:
    """Return the report of a model on clips of a store."""
    place = find_model(job.model, Workspace(absolute_uri(job.workspace)), job.tracking_uri)
    model = load_model(place, choose_device(job.device), without_video=job.without_video)
    clips = load_clips(job.data.store)
    given = read_class_map(job.class_map) if job.class_map else {}
    pairs = pair_classes(clips.manifest.class_names, model.class_names, given)
    footage = load_footage(job.data.store) if model.reads_video else None
    chosen = _chosen(clips, job.data)
    if footage is not None:
        chosen = chosen[footage.has_video_n[chosen]]
    paired = np.isin(clips.labels[chosen], list(pairs))
    indices = chosen[paired]
    if not len(indices):
        raise InputError(
            f"None of the {len(chosen)} clips of {job.data.split} is of a class of the model: give "
            "--class_map, or another --data.split."
        )
    mapped = map_clip_set(clips, model.layout)
    model.check_unit_of_set(mapped, indices)
    probabilities = model.probabilities(model.score(mapped, footage, indices, job.batch))
    lost = indices[~np.isfinite(probabilities).all(1)]
    if len(lost):
        raise InputError(f"Clip {clips.sample_ids[lost[0]]}: {NO_SCORES}")
    labels = np.array([pairs[label] for label in clips.labels[indices].tolist()], np.int64)
    return assess_predictions(
        probabilities,
        labels,
        model.class_names,
        model=model.description.name,
        dataset=clips.manifest.dataset,
        split=job.data.split,
        left_out=int((~paired).sum()),
        trained_on=len(np.intersect1d(indices, _known(clips, model.description))),
    )


def report_table(report: Evaluation) -> Table:
    """Return the table of the accuracies."""
    low, high = report.interval
    title = f"{report.model} on {report.dataset}, {report.clips} clips of {report.split}"
    table = Table(title=title, show_header=False)
    table.add_column("", overflow="fold")
    table.add_column("", justify="right")
    table.add_row("top-1", f"{percent(report.top1)} ({low:.1%} to {high:.1%})")
    table.add_row("top-5", percent(report.top5))
    table.add_row("mean class accuracy", percent(report.mean_class))
    table.add_row("log-loss", f"{report.log_loss:.3f} nats")
    table.add_row("calibration error", percent(report.calibration_error))
    if report.trained_on:
        table.caption = (
            f"{report.trained_on} of these clips were trained on or selected by: for a figure that "
            "can be trusted, take --data.split test of the model's own protocol"
        )
    if report.left_out:
        table.add_row("clips of other classes, left out", str(report.left_out))
    return table


def class_table(report: Evaluation) -> Table:
    """Return the table of the accuracies of classes that have clips."""
    table = Table(title="by class")
    table.add_column("class", overflow="fold")
    table.add_column("clips", justify="right")
    table.add_column("top-1", justify="right")
    for each in report.classes:
        if each.clips:
            table.add_row(each.name, str(each.clips), percent(each.top1))
    return table


def _known(clips: ClipSet, model: ModelDescription) -> Int64Array:
    """Return the clips that a model was trained on or selected by, where they are its own data."""
    is_own = model.digest in (clips.skeletons, clips.manifest.digest)
    if not is_own or model.protocol not in clips.manifest.protocols:
        return np.empty(0, np.int64)
    split = split_clips(clips, model.protocol, model.selection)
    return np.concatenate([split.train, split.val])


def _chosen(clips: ClipSet, data: EvaluationData) -> Int64Array:
    """Return the indices of the clips that a test is on."""
    if data.split == "all":
        return np.arange(len(clips))
    protocol = protocol_name(clips.manifest.protocols, data.protocol)
    split = split_clips(clips, protocol, LITERATURE)
    return split.test if data.split == "test" else np.sort(split.train)
