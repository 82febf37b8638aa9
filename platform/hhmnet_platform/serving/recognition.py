"""Predictions of recordings one after the other: whole clips, timelines of long ones, stores."""

import re
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.model import NO_SCORES, Model
from hhmnet_core.deploy.timeline import (
    Window,
    absences,
    cut_clip,
    cut_windows,
    frame_probabilities,
    merge_windows,
)
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import folder
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import map_clip_set
from hhmnet_core.live.window import ABSENT_SECONDS, DEFAULT_RATE
from hhmnet_core.poses.clips import PoseReading
from hhmnet_core.poses.estimators import choose_estimator
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.reading import MANIFEST, load_clips
from hhmnet_platform.datasets.layouts import load_layout
from hhmnet_platform.serving.inputs import Recorded, RecordingFiles
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.predictions import Prediction, check_new
from hhmnet_platform.serving.rendering import render, render_target
from hhmnet_platform.serving.videos import VideoReader

MAX_LENGTH = 1e9  # of a duration, in seconds or frames
CHUNK = 64  # skeletons that are read before they are predicted
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(s|f)?")


def predict_input(job: PredictJob, model: Model) -> Iterator[Prediction]:
    """Yield the predictions of a job's input, in its order."""
    if MANIFEST in folder(job.input).names():
        yield from _predict_store(job, model)
    else:
        yield from _predict_files(job, model)


def parse_duration(text: str, fps: float | None, option: str) -> int:
    """Return the frames of a duration such as 2s, 2 (seconds) or 60f (frames), at least one.

    Raises InputError for another text, and for seconds where the frame rate is unknown.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not 0 < float(match[1]) <= MAX_LENGTH:
        raise InputError(f"{option} is {text!r}, expected a length such as 2s or 60f (frames).")
    if match[2] == "f":
        return max(1, round(float(match[1])))
    if fps is None:
        raise InputError(
            f"{option} {text} is in seconds, but the frame rate of the skeletons is unknown: give "
            "--fps, or frames such as 60f."
        )
    return max(1, round(float(match[1]) * fps))


def threshold_of(job: PredictJob, model: Model) -> float:
    """Return the confidence below which a job calls an action unsure."""
    if job.threshold is not None:
        return job.threshold
    return model.description.threshold or 0.0


def _predict_store(job: PredictJob, model: Model) -> Iterator[Prediction]:
    for option, value in (("--window", job.window), ("--render", job.render)):
        if value:
            raise InputError(f"{option} is for files, but a store holds clips of one action each.")
    clips = load_clips(job.input)
    footage = load_footage(job.input) if model.reads_video else None
    mapped = map_clip_set(clips, model.layout)
    model.check_unit_of_set(mapped)
    started = time.perf_counter()
    probabilities = model.probabilities(model.score(mapped, footage, batch=job.batch))
    milliseconds = 1000 * (time.perf_counter() - started) / len(clips)
    for name, row in zip(clips.sample_ids, probabilities, strict=True):
        if not np.isfinite(row).all():
            yield Prediction(str(name), reason=NO_SCORES)
            continue
        yield _whole(str(name), row, job, model, milliseconds)


def _predict_files(job: PredictJob, model: Model) -> Iterator[Prediction]:
    files = open_files(job, model.description)
    files.check()
    is_single = len(files.names) == 1
    for chunk in chunks_of(files, files.names):
        yield from predict_chunk(job, model, files, chunk, is_single)


def open_files(job: PredictJob, model: ModelDescription) -> RecordingFiles:
    """Return the files of a job's input.

    Raises:
        InputError: Nothing there, or files or options that do not fit the model.
    """
    if job.window and model.reads_video:
        raise InputError(
            f"The video network of {model.name} reads whole clips, no windows: give "
            "--without_video true."
        )
    layout = model.skeleton
    posing = PoseReading(job.missing or "interpolate", job.min_confidence, job.focal)
    return RecordingFiles(
        job.input,
        layout,
        load_layout(job.layout) if job.layout else layout,
        Reading(job.axes, job.missing or "refuse", job.min_confidence),
        VideoReader(choose_estimator(job.estimator), layout, job.max_bodies, posing),
        job.fps,
        model.source.get("align") == "true",
    )


def chunks_of(files: RecordingFiles, names: Sequence[str]) -> list[list[str]]:
    """Return recordings in groups that are predicted together: skeletons first, videos one by one.

    A video is held in memory while it is predicted.
    """
    skeletons = [name for name in names if not files.is_video(name)]
    groups = [skeletons[at : at + CHUNK] for at in range(0, len(skeletons), CHUNK)]
    return [*groups, *([name] for name in names if files.is_video(name))]


def predict_chunk(
    job: PredictJob, model: Model, files: RecordingFiles, names: Sequence[str], is_single: bool
) -> Iterator[Prediction]:
    """Yield the predictions of some recordings, or the reason why there is none.

    Args:
        job: The prediction.
        model: The model.
        files: Files of the job's input.
        names: Names of the recordings, a group of `chunks_of`.
        is_single: Whether the input is a single recording.

    Raises:
        AccessError: A file that cannot be read at present, or an estimator that cannot be loaded.
    """
    recorded: dict[str, Recorded] = {}
    reasons: dict[str, str] = {}
    clips: list[Clip] = []
    windows: dict[str, list[Window]] = {}
    for name in names:
        try:
            recorded[name] = files.read(name)
            clip = clip_for_model(recorded[name], model.description)
            model.check_unit(clip)
        except AccessError:
            raise
        except InputError as error:
            reasons[name] = str(error)
            continue
        frames = clip.joints.shape[1]
        windows[name] = choose_windows(job.window, job.stride, frames, recorded[name].fps)
        clips += [cut_clip(clip, window) for window in windows[name]]
    started = time.perf_counter()
    probabilities = model.predict_each(clips, job.batch)
    milliseconds = 1000 * (time.perf_counter() - started) / max(1, len(clips))
    at = 0
    for name in names:
        if name in reasons:
            yield Prediction(name, reason=reasons[name])
            continue
        rows = probabilities[at : at + len(windows[name])]
        at += len(rows)
        if not np.isfinite(rows).all():
            yield Prediction(name, reason=NO_SCORES)
            continue
        if job.render:
            _render(job, model, recorded[name], windows[name], rows, is_single)
        if not job.window:
            yield _whole(name, rows[0], job, model, milliseconds)
        else:
            spent = milliseconds * len(rows)
            clip, fps = recorded[name].clip, recorded[name].fps
            yield from timeline(
                name, clip.joints.shape[1], fps, rows, windows[name], model.class_names,
                threshold_of(job, model), spent, recorded[name].first, empty_stretches(clip, fps),
            )  # fmt: skip


def clip_for_model(recorded: Recorded, model: ModelDescription) -> Clip:
    """Return the clip of a recording, with images where the model reads them.

    Raises InputError where the recording has none, or the model reads others.
    """
    visual = model.visual
    if visual is None:
        return recorded.clip
    if recorded.filmed is None:
        raise InputError(
            f"{recorded.clip.sample_id} is a skeleton, but the model {model.name} reads videos "
            "too: give a video, or --without_video true."
        )
    if visual.stream != "rgb":
        raise InputError(
            f"The model {model.name} reads {visual.stream} images, which a video does not hold: "
            "give --without_video true."
        )
    source = model.source
    stored = VideoConfig(
        visual.frames,
        visual.size,
        float(source.get("video.margin", VideoConfig.margin)),
        int(source.get("video.quality", VideoConfig.quality)),
    )
    return recorded.filmed.clip_with_images(stored)


def _render(
    job: PredictJob,
    model: Model,
    recorded: Recorded,
    windows: Sequence[Window],
    rows: NDArray[np.float64],
    is_single: bool,
) -> None:
    shown = frame_probabilities(windows, rows, recorded.clip.joints.shape[1])
    empty = empty_stretches(recorded.clip, recorded.fps) if job.window else ()
    target = render_target(job.render, recorded.clip.sample_id, is_single)
    check_new(target, "--render", job.overwrite)
    render(
        recorded, shown, model.layout, model.class_names, threshold_of(job, model), target, empty
    )


def choose_windows(window: str, stride: str, frames: int, fps: float | None) -> list[Window]:
    """Return the windows of a recording of some frames; one without a length for them.

    Args:
        window: Length of the windows, as for `parse_duration`. "": the whole recording.
        stride: Distance from one window to the next. "": half a window.
        frames: Frames of the recording.
        fps: Its frames per second. None: unknown.

    Raises:
        InputError: A text that is no duration, or a stride beyond the window.
    """
    if not window:
        return [(0, frames)]
    size = parse_duration(window, fps, "--window")
    step = parse_duration(stride, fps, "--stride") if stride else -(-size // 2)
    return cut_windows(frames, size, step)


def _whole(
    name: str, row: NDArray[np.float64], job: PredictJob, model: Model, milliseconds: float
) -> Prediction:
    best = int(row.argmax())
    confidence = float(row[best])
    return Prediction(
        name,
        predicted=model.class_names[best],
        confidence=confidence,
        unsure=confidence < threshold_of(job, model),
        probabilities=row,
        milliseconds=milliseconds,
    )


def empty_stretches(clip: Clip, fps: float | None) -> tuple[Window, ...]:
    """Return the parts of a recording in which nobody is in view, as in a live prediction.

    Args:
        clip: The recording.
        fps: Its frames per second. None: unknown, and taken for 30.
    """
    return tuple(absences(clip, max(1, round(ABSENT_SECONDS * (fps or DEFAULT_RATE)))))


def timeline(
    name: str,
    frames: int,
    fps: float | None,
    rows: NDArray[np.float64],
    windows: Sequence[Window],
    class_names: Sequence[str],
    threshold: float,
    milliseconds: float = 0.0,
    first: int = 0,
    empty: Sequence[Window] = (),
) -> Iterator[Prediction]:
    """Yield the actions of a long recording, one after the other, timed from its start.

    Args:
        name: Name of the recording.
        frames: Number of its frames.
        fps: Its frames per second. None: unknown; times are in frames.
        rows: (N, K) probabilities of its windows.
        windows: The N windows.
        class_names: K names of the classes.
        threshold: Confidence below which an action is unsure.
        milliseconds: Time that the networks took for all windows.
        first: Number of frames before those that the windows divide, which show nobody.
        empty: Stretches in which nobody is in view.
    """
    unit, of_frames = fps or 1.0, frame_probabilities(windows, rows, frames)
    for segment in merge_windows(windows, rows, threshold, empty):
        start, stop = (first + segment.start) / unit, (first + segment.stop) / unit
        if segment.is_empty:
            yield Prediction(name, start, stop, is_empty=True)
            continue
        mean = of_frames[segment.start : segment.stop].mean(0)
        label = int(mean.argmax()) if segment.label is None else segment.label
        yield Prediction(
            name,
            start,
            stop,
            predicted=class_names[label],
            confidence=float(mean[label]),
            unsure=segment.label is None,
            probabilities=mean,
            milliseconds=milliseconds * (segment.stop - segment.start) / frames,
        )
