"""Answers in JSON: predictions of clips and files, their timelines, and joints for drawing.

Shapes: N windows, K classes, M bodies, T frames, V joints.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.timeline import frame_probabilities
from hhmnet_platform.serving.predictions import Prediction
from hhmnet_platform.serving.recognition import timeline
from hhmnet_platform.serving.server.recordings import Drawing, ReadRecording

_DECIMALS = 1  # of positions for drawing, in pixels


class Answers:
    """Answers of one model.

    Args:
        model: The model.
    """

    def __init__(self, model: ModelDescription) -> None:
        self.model, self._layout = model, model.skeleton
        self.threshold = model.threshold or 0.0

    def clip(self, row_k: NDArray[np.float64]) -> dict[str, Any]:
        """Return the answer for the probabilities of a clip."""
        best = int(row_k.argmax())
        confidence = float(row_k[best])
        return {
            "label": self.model.class_names[best],
            "confidence": confidence,
            "unsure": confidence < self.threshold,
            "probabilities": self._by_class(row_k),
        }

    def recording(
        self, recording: ReadRecording, rows_nk: NDArray[np.float64], has_timeline: bool
    ) -> dict[str, Any]:
        """Return the answer for a file.

        Args:
            recording: The recording.
            rows_nk: Probabilities of its windows.
            has_timeline: Whether the answer holds the actions one after the other.
        """
        windows, frames = recording.windows, recording.frames
        whole = rows_nk[0]
        if len(rows_nk) > 1:
            whole = frame_probabilities(windows, rows_nk, frames).mean(0)
        answer = {
            "name": recording.name,
            **self.clip(whole),
            "frames": frames,
            "fps": recording.fps,
        }
        if has_timeline:
            answer["unit"] = "seconds" if recording.fps else "frames"
            answer["timeline"] = [
                self._segment(each, recording)
                for each in timeline(
                    recording.name, frames, recording.fps, rows_nk, windows,
                    self.model.class_names, self.threshold, empty=recording.empty,
                )
            ]  # fmt: skip
        if recording.drawing is not None:
            answer["skeleton"] = self._skeleton(recording, recording.drawing, rows_nk)
        return answer

    def _segment(self, segment: Prediction, recording: ReadRecording) -> dict[str, Any]:
        assert segment.start is not None and segment.stop is not None
        before = recording.first / (recording.fps or 1.0)  # images that show nobody yet
        shares = segment.probabilities
        return {
            "start": before + segment.start,
            "stop": before + segment.stop,
            "label": None if segment.is_empty else segment.predicted,
            "confidence": None if segment.is_empty else segment.confidence,
            "unsure": segment.unsure,
            "probabilities": None if shares is None else self._by_class(shares),
        }

    def _skeleton(
        self, recording: ReadRecording, drawing: Drawing, rows_nk: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Return what a page draws. Positions are lists of x, y, x, y, ..., null for unknown."""
        bodies, frames = drawing.pixels.shape[:2]
        flat = np.round(drawing.pixels.reshape(bodies, frames, -1).astype(float), _DECIMALS)
        known = flat.astype(object)
        known[~np.isfinite(flat)] = None
        windows = [
            {"start": start, "stop": stop, "probabilities": row.tolist()}
            for (start, stop), row in zip(recording.windows, rows_nk, strict=True)
        ]
        return {
            "width": drawing.width,
            "height": drawing.height,
            "bones": [list(bone) for bone in self._layout.bones],
            "parts": {part: list(joints) for part, joints in self._layout.parts.items()},
            "seconds": None if drawing.seconds is None else drawing.seconds.tolist(),
            "bodies": known.tolist(),
            "classes": list(self.model.class_names),
            "windows": windows,
        }

    def _by_class(self, row_k: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.model.class_names, row_k.tolist(), strict=True))
