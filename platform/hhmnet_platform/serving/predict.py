"""Predicting the actions of recordings with a trained model."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.deploy.timeline import Segment, cut_windows, merge_windows
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import folder
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import map_clip_set
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, OnMissing
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.reading import MANIFEST, load_clips
from hhmnet_platform.datasets.layouts import load_layout
from hhmnet_platform.serving.inputs import Recorded, RecordingFiles
from hhmnet_platform.serving.predictions import Prediction, check_out, write_predictions
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking.uri import default_tracking

CHUNK = 64  # recordings that are read before they are predicted
LISTED = 20  # predictions that are printed
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(s|f)?")


@dataclass
class PredictJob:
    """A prediction.

    Attributes:
        model: Model: its folder, or the name or folder of a finished run, fusion or ensemble.
        input: Recordings: a skeleton file (.npy, .npz, .json, NTU's .skeleton), a folder of them, a
            CSV that lists them (column `skeleton`; optionally `sample_id` and `fps`), or a clip
            store.
        out: File for the predictions: .parquet, .csv or .json. Default: they are only printed.
        layout: Skeleton layout of the input: a name, or a .yaml file. Default: the model's. Another
            one is converted where there is a map between the two.
        axes: Order of the axes of .npy, .npz and .json files, such as CTVM. Default: TVC or MTVC.
        missing: Treatment of joints that are missing while their body is present: refuse, hold
            (repeat the last known position) or interpolate.
        min_confidence: Smallest confidence of a known joint, 0 to 1, where files record it.
        fps: Frames per second of the skeletons, for windows in seconds. Default: unknown; NTU: 30.
        window: Length of the windows that long recordings are cut into, such as 2s or 60f (frames).
            Default: each recording is one action.
        stride: Distance from one window to the next. Default: half a window.
        threshold: Confidence below which an action is called unsure. Default: the one that was
            chosen on val when the model was made, else 0.
        batch: Number of clips that are predicted at a time.
        without_video: Leave out the video network of the model, and predict from skeletons alone.
        device: Device of the networks: auto (a GPU where there is one), cpu or cuda.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
    """

    model: str = ""
    input: str = ""
    out: str = ""
    layout: str = ""
    axes: str = ""
    missing: OnMissing = "refuse"
    min_confidence: float = MIN_CONFIDENCE
    fps: float | None = None
    window: str = ""
    stride: str = ""
    threshold: float | None = None
    batch: int = 64
    without_video: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold must be 0 to 1, but is {self.threshold}.")
        if not 1 <= self.batch <= 65_536:
            raise InputError(f"batch must be 1 to 65536, but is {self.batch}.")
        if self.stride and not self.window:
            raise InputError("--stride needs --window, the length of the windows.")


def run_predict(job: PredictJob) -> None:
    """Predict, print, and write the predictions.

    Raises InputError for anything the user can cause, and where no recording can be predicted.
    """
    if not job.input:
        raise InputError("--input is missing: give a skeleton file, a folder, a CSV or a store.")
    check_out(job.out)
    workspace = Workspace(absolute_uri(job.workspace))
    place = find_model(job.model, workspace, job.tracking_uri)
    model = load_model(place, choose_device(job.device), without_video=job.without_video)
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(f"Model    {place} ({len(model.class_names)} actions, {model.layout.name})")
    predictions: list[Prediction] = []
    for prediction in predict_input(job, model):
        predictions.append(prediction)
        if len(predictions) <= LISTED:
            console.print(shown(prediction, model.class_names))
    if len(predictions) > LISTED:
        more = f"{len(predictions) - LISTED} more predictions"
        console.print(f"... {more}{'' if job.out else '; give --out for all of them'}")
    if job.out:
        write_predictions(predictions, model.class_names, job.out)
        console.print(f"Written  {job.out}")
    failed = [each for each in predictions if each.reason]
    if failed:
        console.print(
            f"{len(failed)} recordings have no prediction, for the reasons above or in --out."
        )
    if len(failed) == len(predictions):
        raise InputError(f"No recording of {job.input} could be predicted: {failed[0].reason}")


def choose_device(name: str) -> torch.device:
    """Return a device by its name. Raises InputError for CUDA where there is none."""
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("--device cuda, but PyTorch finds no GPU here: give cpu or auto.")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def predict_input(job: PredictJob, model: Model) -> Iterator[Prediction]:
    """Yield the predictions of a job's input, in its order."""
    if MANIFEST in folder(job.input).names():
        yield from _predict_store(job, model)
    else:
        yield from _predict_files(job, model)


def shown(prediction: Prediction, class_names: Sequence[str]) -> str:
    """Return the line that shows a prediction."""
    if prediction.reason:
        return f"{prediction.input}: no prediction. {prediction.reason}"
    part = ""
    if prediction.start is not None:
        part = f" {prediction.start:.2f} to {prediction.stop:.2f}"
    assert prediction.probabilities is not None
    order = np.argsort(-prediction.probabilities, kind="stable")[:3]
    shares = ", ".join(f"{class_names[at]} {prediction.probabilities[at]:.1%}" for at in order)
    mark = "unsure: " if prediction.unsure else ""
    return f"{prediction.input}{part}: {mark}{shares} ({prediction.milliseconds:.1f} ms)"


def parse_duration(text: str, fps: float | None, option: str) -> int:
    """Return the frames of a duration such as 2s, 2 (seconds) or 60f (frames), at least one.

    Raises InputError for another text, and for seconds where the frame rate is unknown.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"{option} is {text!r}, expected a length such as 2s or 60f (frames).")
    if match[2] == "f":
        return max(1, round(float(match[1])))
    if fps is None:
        raise InputError(
            f"{option} {text} is in seconds, but the frame rate of the skeletons is unknown: give "
            "--fps, or frames such as 60f."
        )
    return max(1, round(float(match[1]) * fps))


def _threshold(job: PredictJob, model: Model) -> float:
    if job.threshold is not None:
        return job.threshold
    return model.description.threshold or 0.0


def _predict_store(job: PredictJob, model: Model) -> Iterator[Prediction]:
    if job.window:
        raise InputError("--window cuts recordings, but a store holds clips of one action each.")
    clips = load_clips(job.input)
    footage = load_footage(job.input) if model.reads_video else None
    mapped = map_clip_set(clips, model.layout)
    started = time.perf_counter()
    probabilities = model.probabilities(model.score(mapped, footage, batch=job.batch))
    milliseconds = 1000 * (time.perf_counter() - started) / len(clips)
    for name, row in zip(clips.sample_ids, probabilities, strict=True):
        yield _whole(str(name), row, job, model, milliseconds)


def _predict_files(job: PredictJob, model: Model) -> Iterator[Prediction]:
    if model.reads_video:
        raise InputError(
            f"The model {model.description.name} reads videos beside skeletons: give a store with "
            "videos, or --without_video true."
        )
    files = RecordingFiles(
        job.input,
        model.layout,
        _layout(job, model),
        Reading(job.axes, job.missing, job.min_confidence),
        job.fps,
        model.description.source.get("align") == "true",
    )
    files.check()
    for start in range(0, len(files.names), CHUNK):
        yield from _predict_chunk(job, model, files, files.names[start : start + CHUNK])


def _layout(job: PredictJob, model: Model) -> Layout:
    """Return the layout of the input."""
    if not job.layout or job.layout == model.layout.name:
        return model.layout
    return load_layout(job.layout)


def _predict_chunk(
    job: PredictJob, model: Model, files: RecordingFiles, names: Sequence[str]
) -> Iterator[Prediction]:
    recorded: dict[str, Recorded] = {}
    reasons: dict[str, str] = {}
    windows: dict[str, list[tuple[int, int]]] = {}
    for name in names:
        try:
            recorded[name] = files.read(name)
        except AccessError:
            raise
        except InputError as error:
            reasons[name] = str(error)
            continue
        windows[name] = _windows(job, recorded[name])
    clips = [
        _part(recorded[name].clip, window) for name, each in windows.items() for window in each
    ]
    started = time.perf_counter()
    probabilities = model.predict(clips, job.batch)
    milliseconds = 1000 * (time.perf_counter() - started) / max(1, len(clips))
    at = 0
    for name in names:
        if name in reasons:
            yield Prediction(name, reason=reasons[name])
            continue
        rows = probabilities[at : at + len(windows[name])]
        at += len(rows)
        if not job.window:
            yield _whole(name, rows[0], job, model, milliseconds)
        else:
            spent = milliseconds * len(rows)
            yield from _timeline(name, rows, windows[name], recorded[name], job, model, spent)


def _windows(job: PredictJob, recorded: Recorded) -> list[tuple[int, int]]:
    frames = recorded.clip.joints.shape[1]
    if not job.window:
        return [(0, frames)]
    size = parse_duration(job.window, recorded.fps, "--window")
    stride = parse_duration(job.stride, recorded.fps, "--stride") if job.stride else -(-size // 2)
    return cut_windows(frames, size, stride)


def _part(clip: Clip, window: tuple[int, int]) -> Clip:
    """Return the frames of a window, with the bodies that are present in them."""
    start, stop = window
    if (start, stop) == (0, clip.joints.shape[1]):
        return clip
    joints = clip.joints[:, start:stop]
    present = np.any(joints != 0, axis=(1, 2, 3))
    if not present.any():
        present[0] = True  # the model sees an empty scene
    missing = None if clip.missing is None else clip.missing[present, start:stop]
    return Clip(f"{clip.sample_id}", 0, 0, 0, 0, joints[present], missing=missing)


def _whole(
    name: str, row: NDArray[np.float64], job: PredictJob, model: Model, milliseconds: float
) -> Prediction:
    best = int(row.argmax())
    confidence = float(row[best])
    return Prediction(
        name,
        predicted=model.class_names[best],
        confidence=confidence,
        unsure=confidence < _threshold(job, model),
        probabilities=row,
        milliseconds=milliseconds,
    )


def _timeline(
    name: str,
    rows: NDArray[np.float64],
    windows: Sequence[tuple[int, int]],
    recorded: Recorded,
    job: PredictJob,
    model: Model,
    milliseconds: float,
) -> Iterator[Prediction]:
    segments = merge_windows(windows, rows, _threshold(job, model))
    unit = recorded.fps or 1.0
    frames = recorded.clip.joints.shape[1]
    for segment in segments:
        mean = _mean_over(segment, windows, rows)
        yield Prediction(
            name,
            segment.start / unit,
            segment.stop / unit,
            predicted=model.class_names[
                int(mean.argmax()) if segment.label is None else segment.label
            ],
            confidence=segment.confidence,
            unsure=segment.label is None,
            probabilities=mean,
            milliseconds=milliseconds * (segment.stop - segment.start) / frames,
        )


def _mean_over(
    segment: Segment, windows: Sequence[tuple[int, int]], rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean probabilities of the windows of a segment, by the frames they share."""
    shared = np.array(
        [max(0, min(stop, segment.stop) - max(start, segment.start)) for start, stop in windows]
    )
    mean: NDArray[np.float64] = (shared[:, None] * rows).sum(0) / shared.sum()
    return mean
