"""RTMPose (Jiang et al., 2023) and RTMO (Lu et al., CVPR 2024) through rtmlib and ONNX Runtime.

rtmlib (github.com/Tau-J/rtmlib, Apache 2.0) is an optional package, because it brings OpenCV. Its
models give 17 joints in pixels (`coco_17`). RTMO finds people and joints in one pass; RTMPose needs
the boxes of a detector (YOLOX). Both look at each image by itself.
"""

import hashlib
import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_core.poses.contract import People
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.sources.video_decoding import Image

LAYOUT = "coco_17"
Mode = Literal["lightweight", "balanced", "performance"]
_RTMO_SIZE, _RTMPOSE_SIZE, _YOLOX_SIZE = (640, 640), (192, 256), (640, 640)
_RTMO_RANK = 4  # of RTMO's second output, (1, people, joints, 3); RTMPose's is (1, joints, width)


@dataclass(frozen=True)
class RtmlibConfig:
    """Settings of rtmlib.

    Attributes:
        mode: Size of the models from rtmlib's hub (RTMPose and YOLOX).
        pose: Path of an ONNX file of RTMO or RTMPose to use instead of the hub's. "": the hub's.
        detector: Path of an ONNX file of YOLOX, which an RTMPose file needs. "": none.
    """

    mode: Mode = "balanced"
    pose: str = ""
    detector: str = ""

    @property
    def layout(self) -> Layout:
        """Layout of the joints."""
        return get_layout(LAYOUT)

    @property
    def advice(self) -> str:
        """What to try where nobody is found."""
        return "leave it out, or try another --rtmlib.mode or --estimator blazepose"

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the results. Raises InputError where a model is missing."""
        return {"estimator": "rtmlib/1", **self.open().digests}

    def open(self, threads: int = 1) -> "Rtmlib":
        """Load the models; those of the hub are downloaded. Raises InputError without them."""
        return Rtmlib(self)


class Rtmlib:
    """RTMPose or RTMO on the images of a video.

    Args:
        config: Settings.

    Raises:
        InputError: rtmlib is not installed, or a model is missing or another one.
    """

    def __init__(self, config: RtmlibConfig = RtmlibConfig()) -> None:
        self.layout = config.layout
        try:
            import rtmlib
        except ImportError as error:
            raise InputError(
                f"The package rtmlib cannot be imported ({error}): pip install "
                "'hhmnet-ray[rtmlib]', or give --estimator blazepose."
            ) from error
        self._detector: Any = None
        # rtmlib prints which files it loads.
        with redirect_stdout(io.StringIO()):
            try:
                self._load(rtmlib, config)
            except InputError:
                raise
            except Exception as error:  # of rtmlib's download or ONNX Runtime
                which = config.pose or f"the models of rtmlib's hub ({config.mode})"
                raise InputError(
                    f"rtmlib cannot load {which} ({one_line(error)}): check the connection, or "
                    "give --rtmlib.pose an ONNX file of RTMO."
                ) from error

    def _load(self, rtmlib: Any, config: RtmlibConfig) -> None:
        if not config.pose:
            body = rtmlib.Body(mode=config.mode, backend="onnxruntime", device="cpu")
            self._pose, self._detector = body.pose_model, body.det_model
            return
        for path in filter(None, (config.pose, config.detector)):
            if not Path(path).is_file():
                raise InputError(f"There is no model {path}: expected an ONNX file.")
        size, rank = _signature(config.pose)
        options = {"backend": "onnxruntime", "device": "cpu"}
        if rank == _RTMO_RANK:
            self._pose = rtmlib.RTMO(config.pose, size or _RTMO_SIZE, **options)
            return
        if not config.detector:
            raise InputError(
                f"{config.pose} is a model of RTMPose, which needs the boxes of people: give "
                "--rtmlib.detector an ONNX file of YOLOX, or --rtmlib.pose one of RTMO."
            )
        width_height = size[::-1] if size else _RTMPOSE_SIZE
        self._pose = rtmlib.RTMPose(config.pose, width_height, **options)
        detector_size = _signature(config.detector)[0] or _YOLOX_SIZE
        self._detector = rtmlib.YOLOX(config.detector, detector_size, **options)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The sha256 (hex) of each model file."""
        tools = {"pose": self._pose, "detector": self._detector}
        return {
            f"rtmlib.{name}": hashlib.sha256(Path(tool.onnx_model).read_bytes()).hexdigest()
            for name, tool in tools.items()
            if tool is not None
        }

    def reset(self) -> None:
        """Do nothing: each image is looked at by itself."""

    def estimate(self, image: Image) -> People:
        """Return the people of the next image, (H, W, 3) uint8 RGB."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        if self._detector is None:
            joints, scores = self._pose(bgr)
        else:
            boxes = self._detector(bgr)
            if not len(boxes):  # rtmlib would take the whole image for a person
                return People.nobody(self.layout)
            joints, scores = self._pose(bgr, bboxes=boxes)
        joints, scores = np.asarray(joints, np.float32), np.asarray(scores, np.float32)
        if joints.shape[1:] != (self.layout.num_joints, 2):
            raise InputError(
                f"The model of rtmlib returns joints of shape {joints.shape[1:]}, expected "
                f"{(self.layout.num_joints, 2)} of layout {self.layout.name}: give another model."
            )
        is_person = (scores > 0).any(-1)  # where RTMO finds nobody, rtmlib returns zeros
        return People(joints[is_person], np.clip(scores[is_person], 0, 1))


def _signature(path: str) -> tuple[tuple[int, int] | None, int]:
    """Return height and width of a model's image, if fixed, and the rank of its last output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    height, width = session.get_inputs()[0].shape[2:]
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return size, len(session.get_outputs()[-1].shape)
