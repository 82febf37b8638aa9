"""Predicting the actions in a camera or stream while it runs."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import Empty

from rich.console import Console

from hhmnet_core.deploy.model import Model
from hhmnet_core.errors import InputError
from hhmnet_core.live.addresses import LiveAddress
from hhmnet_core.live.buffer import Arrived, NewestImage
from hhmnet_core.live.outages import Outages
from hhmnet_core.live.reader import SourceEvent, SourceReader
from hhmnet_core.live.recording import LiveVideo
from hhmnet_core.live.session import Label, LiveSession, Predict, Probabilities
from hhmnet_core.live.window import PoseWindow
from hhmnet_core.poses.clips import PoseReading, clip_of_tracks
from hhmnet_core.poses.estimators import choose_estimator
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.skeleton.layout_maps import find_map
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.live_options import LiveTimes
from hhmnet_platform.serving.live_output import (
    LiveLine,
    LiveOverlay,
    LiveRow,
    RowFile,
    local_file,
    summary,
)
from hhmnet_platform.serving.recognition import threshold_of

WAIT_SECONDS = 0.05  # for an image, between looks at what else has happened
_MAX_AGES = 100_000  # last labels whose ages the summary is of


def run_live(job: PredictJob, model: Model, address: LiveAddress, console: Console) -> None:
    """Predict the actions of a live input until it ends, its time is over, or it is interrupted.

    Raises InputError for a source that cannot be opened, and for all else that the user can cause.
    """
    LivePrediction(job, model, address, console).run()


class LivePrediction:
    """A live prediction: what comes from the source, and where it is shown.

    Args:
        job: Its options.
        model: The model.
        address: The source.
        console: Terminal to print on.

    Raises:
        InputError: A model that reads videos, joints without a map, or a file that cannot be
            written.
    """

    def __init__(
        self, job: PredictJob, model: Model, address: LiveAddress, console: Console
    ) -> None:
        self._job, self._model, self._address = job, model, address
        self._times, self._line = LiveTimes.of(job), LiveLine(console)
        self._predict = predictor(job, model, address.shown)
        self._images = NewestImage()
        self._ages: deque[float] = deque(maxlen=_MAX_AGES)
        self._num_labels = 0

    def run(self) -> None:
        """Predict until the end. Files are whole at every end."""
        with ExitStack() as stack:
            estimator = choose_estimator(self._job.estimator).open()
            window = PoseWindow(
                estimator.layout, self._times.window, self._job.max_bodies, self._times.rate
            )
            self._line.say(f"Source   {self._address.shown} (Ctrl-C ends it)")
            reader = SourceReader(self._address, self._images)
            stack.callback(reader.stop)
            reader.start()
            self._wait_until_open(reader)
            self._session = LiveSession(estimator, window, self._times.stride, self._predict)
            stack.callback(self._session.close)
            self._rows = stack.enter_context(_rows(self._job))
            self._video = stack.enter_context(_video(self._job))
            self._overlay = LiveOverlay(
                estimator.layout,
                self._model.class_names,
                threshold_of(self._job, self._model),
                self._job.min_confidence,
            )
            stack.callback(self._end)
            self._follow(reader)
        if not self._images.seen:
            raise InputError(
                f"{self._address.shown} has sent no image: check the source, or give more time."
            )

    def _wait_until_open(self, reader: SourceReader) -> None:
        """Wait until the source is open. Raises InputError where it cannot be opened."""
        event = None
        while event is None:
            try:
                event = reader.events.get(timeout=WAIT_SECONDS)
            except Empty:
                continue
        if event.kind == "failed":
            if event.error:
                raise event.error
            advice = "check the address and that it is sending"
            if self._address.given.lower().startswith("http"):
                advice += "; the address of a store or folder ends with a slash"
            raise InputError(f"{self._address.shown} cannot be opened: {event.reason}; {advice}.")

    def _follow(self, reader: SourceReader) -> None:
        """Predict until the source ends or the time is over."""
        begin = time.monotonic()
        outages, has_ended = Outages(begin), False
        while True:
            arrived = self._images.take(WAIT_SECONDS)
            if has_ended and arrived is None:
                self._line.say("The source has ended.")
                return
            now = time.monotonic()
            for event in _events(reader):
                if event.error:
                    raise event.error
                if event.kind == "lost":
                    self._line.say(outages.lost(event.reason))
                    self._session.restart()
                has_ended = has_ended or event.kind == "ended"
            if arrived is not None:
                self._line.say(outages.image(now))
                self._show(arrived)
            else:
                self._line.say(outages.check(now))
            while (label := self._session.label()) is not None:
                self._tell(label)
            if self._times.duration is not None and now - begin >= self._times.duration:
                return

    def _show(self, arrived: Arrived) -> None:
        posed = self._session.add(arrived)
        if self._video is not None:
            self._video.add(partial(self._overlay.current(), posed), arrived.time)

    def _tell(self, label: Label) -> None:
        """Show a label, and write it."""
        row = LiveRow.of(
            label,
            self._model.class_names,
            threshold_of(self._job, self._model),
            time.monotonic(),
            self._images.seen,
            self._images.dropped,
        )
        self._overlay.add(label, row.action)
        self._line.show(row)
        if row.is_prediction:
            self._num_labels += 1
            self._ages.append(row.age)
            if self._rows is not None:
                self._rows.add(row)

    def _end(self) -> None:
        """Print what was done."""
        self._line.end()
        left_out = self._video.left_out if self._video is not None else 0
        self._line.say(
            summary(self._images.seen, self._images.dropped, self._num_labels, self._ages, left_out)
        )
        for option in (self._job.out, self._job.render):
            if option and self._images.seen:
                self._line.say(f"Written  {option}")


def predictor(job: PredictJob, model: Model, name: str) -> Predict:
    """Return the function that predicts the poses of a window.

    Args:
        job: Options of the prediction.
        model: The model.
        name: Name of the source, for messages.

    Raises:
        InputError: A model that reads videos, or joints that cannot be brought to its layout.
    """
    if model.reads_video:
        raise InputError(
            f"The video network of {model.description.name} reads whole clips, no live input: give "
            "--without_video true."
        )
    estimated = choose_estimator(job.estimator).layout
    mapping = find_map(estimated.name, model.layout.name)
    if estimated.channels < model.layout.channels:
        raise InputError(
            f"The estimator gives positions in the image only ({estimated.name}), but layout "
            f"{model.layout.name} is in metres: use blazepose."
        )
    reading = PoseReading(job.missing or "interpolate", job.min_confidence, job.focal)

    def predict(tracks: PoseTracks) -> Probabilities | None:
        known = mapping.confidence(tracks.confidence) >= reading.min_confidence
        if not known.any():
            return None
        clip = clip_of_tracks(tracks, model.layout, name, reading).clip
        probabilities: Probabilities = model.predict([clip], 1)[0]
        return probabilities

    return predict


def _events(reader: SourceReader) -> Iterator[SourceEvent]:
    """Yield what has happened to the source."""
    with suppress(Empty):
        while True:
            yield reader.events.get_nowait()


@contextmanager
def _rows(job: PredictJob) -> Iterator[RowFile | None]:
    """Open the file of predictions, None where none is wanted."""
    if not job.out:
        yield None
        return
    with RowFile(local_file(job.out, "--out")) as rows:
        yield rows


@contextmanager
def _video(job: PredictJob) -> Iterator[LiveVideo | None]:
    """Open the video, None where none is wanted, and close it whatever happens."""
    if not job.render:
        yield None
        return
    video = LiveVideo(local_file(job.render, "--render"))
    try:
        yield video
    finally:
        video.close()
