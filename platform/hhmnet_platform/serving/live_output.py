"""What a live prediction shows and writes: a line that renews itself, JSON lines, an overlay."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access, split_uri
from hhmnet_core.live.session import Label, Posed
from hhmnet_core.rendering.overlay import UNSURE, Overlay
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_decoding import Image
from hhmnet_platform.serving.predictions import NOBODY

ENDINGS = (".jsonl", ".json")
HISTORY = 120  # labels of the timeline in the video
_UNPREDICTED = {"gathering": "waiting for images", "nobody": NOBODY, "arriving": "arriving"}


def check_rows_name(out: str) -> None:
    """Raise InputError for a file of a kind that live predictions are not written to."""
    if not out.lower().endswith(ENDINGS):
        raise InputError(
            f"--out {out} is no {' or '.join(ENDINGS)}: predictions of a live input are written "
            "line by line while they come, which tables cannot be."
        )


def local_file(given: str, option: str) -> Path:
    """Return the path of a local file. Raises InputError for one elsewhere."""
    folder, name = split_uri(given)
    if not folder.is_local:
        raise InputError(
            f"{option} {given} is not on this machine: a live input is written while it runs, so "
            "give a local file."
        )
    return Path(folder.at(name))


@dataclass(frozen=True)
class LiveRow:
    """A label as it is shown.

    Attributes:
        time: Time at which it is shown.
        action: The action: "unsure" below the threshold, "nobody" where nobody is in view, or what
            is waited for.
        age: Seconds since the newest image of its window arrived.
        lag: Seconds that this image came later than the promptest ones.
        seen: Number of images that have arrived.
        dropped: Number of images that were passed over for newer ones.
        predicted: The likeliest class. None: there is no prediction.
        probabilities: Probability of each class.
        is_prediction: Whether the window was looked at as a whole: a class, or nobody.
    """

    time: datetime
    action: str
    age: float
    lag: float
    seen: int
    dropped: int
    predicted: str | None
    probabilities: dict[str, float] | None
    is_prediction: bool

    @classmethod
    def of(
        cls,
        label: Label,
        class_names: Sequence[str],
        threshold: float,
        now: float,
        seen: int,
        dropped: int,
    ) -> "LiveRow":
        """Return the row of a label.

        Args:
            label: The label.
            class_names: Names of the classes.
            threshold: Confidence below which an action is unsure.
            now: Seconds of the monotonic clock.
            seen: Number of images that have arrived.
            dropped: Number of images that were passed over.
        """
        predicted, shares = None, None
        action = _UNPREDICTED.get(label.view, "")
        if label.probabilities is not None:
            best = int(label.probabilities.argmax())
            predicted = class_names[best]
            action = predicted if label.probabilities[best] >= threshold else UNSURE
            shares = dict(zip(class_names, label.probabilities.tolist(), strict=True))
        return cls(
            datetime.now(UTC),
            action,
            now - label.arrival,
            label.lag,
            seen,
            dropped,
            predicted,
            shares,
            label.view in ("people", "nobody"),
        )

    @property
    def confidence(self) -> float | None:
        """Probability of the likeliest class. None: there is no prediction."""
        return max(self.probabilities.values()) if self.probabilities else None

    @property
    def text(self) -> str:
        """The row as a line."""
        share = "" if self.confidence is None else f" {self.confidence:.1%}"
        likeliest = f" ({self.predicted})" if self.action == UNSURE else ""
        return (
            f"{self.action}{likeliest}{share}, age {self.age:.2f} s, lag {self.lag:.2f} s, "
            f"{self.seen} images, {self.dropped} dropped"
        )

    def record(self) -> dict[str, object]:
        """Return the row as a JSON object."""
        return {
            "time": self.time.isoformat(timespec="milliseconds"),
            "action": self.action,
            "predicted": self.predicted,
            "confidence": self.confidence,
            "probabilities": self.probabilities,
            "age_ms": round(1000 * self.age, 1),
            "lag_ms": round(1000 * self.lag, 1),
            "images_seen": self.seen,
            "images_dropped": self.dropped,
        }


class LiveLine:
    """The newest label on a terminal, in one line; elsewhere a line for each change of the action.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._action, self._is_open = "", False

    def show(self, row: LiveRow) -> None:
        """Show a label in place of the one before."""
        if self._console.is_terminal:
            self._clear()
            self._console.print(row.text, end="", no_wrap=True, crop=True, soft_wrap=False)
            self._is_open = True
        elif row.action != self._action:
            self._console.print(f"{row.time.astimezone():%H:%M:%S} {row.text}")
        self._action = row.action

    def say(self, text: str | None) -> None:
        """Print a line above, unless there is none."""
        if text is not None:
            self._clear()
            self._console.print(text)

    def end(self) -> None:
        """Leave the line as it is."""
        if self._is_open:
            self._console.print()
            self._is_open = False

    def _clear(self) -> None:
        if self._is_open:
            erase = (ControlType.ERASE_IN_LINE, 2)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, erase))
            self._is_open = False


class RowFile:
    """A file of JSON lines that is whole after each of them.

    Args:
        path: The file. Its folder is made, and an earlier file of its name replaced.

    Raises:
        AccessError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with local_access(path, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, row: LiveRow) -> None:
        """Write a row."""
        with local_access(self._path, "write"):
            # One call, so that an interrupt comes before or after a line.
            self._file.write((json.dumps(row.record()) + "\n").encode())


class LiveOverlay:
    """Drawing the newest labels on images.

    Args:
        layout: Layout of the people's joints.
        class_names: Names of the classes.
        threshold: Confidence below which an action is unsure.
        min_confidence: Smallest confidence of a joint that is drawn.
    """

    def __init__(
        self, layout: Layout, class_names: Sequence[str], threshold: float, min_confidence: float
    ) -> None:
        self._layout, self._class_names = layout, class_names
        self._threshold, self._min_confidence = threshold, min_confidence
        self._rows: deque[tuple[np.ndarray, str]] = deque(maxlen=HISTORY)
        self._rows.append((np.zeros(len(class_names)), _UNPREDICTED["gathering"]))
        self._current = self._make()

    def add(self, label: Label, action: str) -> None:
        """Add a label, which is drawn on the images that follow."""
        nothing = np.zeros(len(self._class_names))
        known = label.probabilities is not None
        self._rows.append((label.probabilities, "") if known else (nothing, action))  # type: ignore[arg-type]
        self._current = self._make()

    def current(self) -> Callable[[Posed], Image]:
        """Return the function that draws the labels so far on an image."""
        return self._current

    def _make(self) -> Callable[[Posed], Image]:
        rows, notes = zip(*self._rows, strict=True)
        overlay = Overlay(
            self._layout, self._class_names, np.stack(rows), self._threshold, tuple(notes)
        )
        return partial(_draw, overlay, self._min_confidence)


def _draw(overlay: Overlay, min_confidence: float, posed: Posed) -> Image:
    known = posed.people.confidence >= min_confidence
    pixels = np.where(known[..., None], posed.people.pixels, np.float32(np.nan))
    return overlay.draw(posed.image, pixels, len(overlay.probabilities) - 1)


def summary(seen: int, dropped: int, num_labels: int, ages: Sequence[float], left_out: int) -> str:
    """Return what a live prediction did, in one line.

    Args:
        seen: Number of images that arrived.
        dropped: Number of images that were passed over for newer ones.
        num_labels: Number of predictions.
        ages: Ages of the last predictions when they were shown, in seconds.
        left_out: Number of images that were not drawn in time.
    """
    text = f"{seen} images, {dropped} dropped; {num_labels} predictions"
    if ages:
        middle, late = np.quantile(np.array(ages), (0.5, 0.95))
        text += f", {middle:.2f} s old in the median, 95 % below {late:.2f} s"
    return text + (f"; {left_out} images left out of the video" if left_out else "") + "."
