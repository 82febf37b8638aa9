"""Exporting a model: as the folder that stands alone, as ONNX, or as pt2 of torch.export."""

from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.export_check import Agreement, check_graph
from hhmnet_core.deploy.export_formats import (
    OPSET,
    GraphFormat,
    check_packages,
    graph_metadata,
    load_graph,
    write_graph,
)
from hhmnet_core.deploy.folders import (
    Weights,
    model_content,
    read_description,
    read_weights,
    write_model,
)
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.deploy.skeleton_networks import with_views
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder, split_uri
from hhmnet_core.skeleton.augment import MAX_VIEWS
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking.uri import default_tracking

_KINDS = {"onnx": f"ONNX, opset {OPSET}", "pt2": "torch.export"}


@dataclass
class ExportedRunData:
    """Data of a run that has no model yet.

    Attributes:
        store: URI of the store that it was trained on. Default: where it was then.
    """

    store: str = ""


@dataclass
class ExportJob:
    """A model to export.

    Attributes:
        model: Folder of a model, or the name of a finished run, fusion or ensemble in the
            workspace, or the id of one of a run's MLflow runs. A finished run that has no model
            gets one.
        format: Kind of what is written. "model": the folder that `load_model` and the other scripts
            read. "onnx", "pt2": one file with all between raw joints and probabilities, for ONNX
            Runtime or torch.export.
        out: Folder, or file for onnx and pt2, that is written: a path or URI. Default for "model":
            nothing is copied, and the place of the model is printed.
        overwrite: Replace what is at `out`.
        without_video: Leave out the video networks of the model.
        views: Number of views of a clip that its encoders score, as `augment.views` of the training
            is: another number needs no training. Default: as they were trained.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in the
            workspace.
        data: Data of a run that has no model yet.
    """

    model: str = ""
    format: Literal["model", "onnx", "pt2"] = "model"
    out: str = ""
    overwrite: bool = False
    without_video: bool = False
    views: int | None = None
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)
    data: ExportedRunData = field(default_factory=ExportedRunData)


def run_export(job: ExportJob) -> None:
    """Write a model in the wanted format. ONNX and pt2 are checked against the model first.

    Raises:
        InputError: No such model, one that cannot be exported so, a place that is taken or cannot
            be written, a package that is missing, or a file that differs from its model.
    """
    if job.views is not None and not 1 <= job.views <= MAX_VIEWS:
        raise InputError(f"--views must be 1 to {MAX_VIEWS}, but is {job.views}.")
    if job.format == "model":
        if (job.without_video or job.views is not None) and not job.out:
            option = "--without_video true" if job.without_video else f"--views {job.views}"
            raise InputError(f"{option} makes another model: give its folder as --out.")
        _check_free(job, job.out and folder(absolute_uri(job.out)).names())
    else:
        check_packages(job.format)
        if not job.out:
            raise InputError(f"--out is missing: give the {job.format} file that is to be written.")
        target, name = split_uri(absolute_uri(job.out))
        _check_free(job, name in target.names())
    workspace = Workspace(absolute_uri(job.workspace))
    uri = find_model(job.model, workspace, job.tracking_uri, job.data.store)
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not job.out:
        console.print(f"model: {uri}")
        return
    described = read_description(uri)
    if job.without_video:
        described = described.without_video()
    if job.views is not None:
        described = with_views(described, job.views)
    weights = read_weights(uri, described)
    if job.format == "model":
        write_model(model_content(described, weights), absolute_uri(job.out))
        console.print(f"model: {job.out}")
        return
    content, agreement = export_graph(described, weights, job.format)
    target.write(name, content)
    console.print(f"{job.out}: {_KINDS[job.format]}, {len(content) / 1e6:.1f} MB")
    console.print(_report(agreement))


def export_graph(
    described: ModelDescription, weights: Weights, kind: GraphFormat
) -> tuple[bytes, Agreement]:
    """Return the file of a model's skeleton part, and how well it agrees with the model.

    Raises:
        InputError: A model with video, a package that is missing, or a file that differs.
    """
    graph = ModelGraph(described, weights)
    content = write_graph(graph, kind, graph_metadata(described, graph))
    return content, check_graph(load_graph(content, kind), Model(described, weights))


def _check_free(job: ExportJob, is_taken: object) -> None:
    if is_taken and not job.overwrite:
        raise InputError(
            f"{job.out} exists: give another --out, or replace it with --overwrite true."
        )


def _report(agreement: Agreement) -> str:
    compared = agreement.num_clips - agreement.num_undecided
    line = (
        f"checked on {compared} made clips: probabilities differ from the model's by at most "
        f"{agreement.difference:.1e}"
    )
    if agreement.num_undecided:
        line += (
            f"; {agreement.num_undecided} more clips are not counted, since the model's own "
            "predictions jump there under rounding"
        )
    return line
