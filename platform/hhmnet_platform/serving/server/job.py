"""The options of a server."""

from dataclasses import dataclass, field
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.poses.estimators import EstimatorName
from hhmnet_core.poses.tracks import check_max_bodies
from hhmnet_core.poses.video import MAX_BODIES
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.uri import default_tracking

_RANGES = {
    "port": (0, 65_535),
    "max_mb": (1, 1024),
    "max_seconds": (1, 3600),
    "max_frames": (1, 100_000),
    "replicas": (1, 64),
    "batch": (1, 1024),
    "batch_ms": (0, 1000),
}


@dataclass
class ServeJob:
    """A server of a model.

    Attributes:
        model: Model: its folder, or the name or folder of a finished run, fusion or ensemble.
        host: Address to listen on. Any but a loopback address requires a token of each request.
        port: Port to listen on. 0: a free one.
        token_file: File whose first line is the token. Default: $HHMNET_SERVE_TOKEN; else, on
            another host than loopback, a token is made and printed at the start.
        max_mb: Largest body of a request, in megabytes. JSON has 16 at most.
        max_seconds: Longest time of a request, in seconds.
        max_frames: Longest recording, in frames.
        replicas: Number of processes that hold the model and predict.
        batch: Largest number of clips, of any requests, that a process predicts at a time.
        batch_ms: Time that a clip waits for others to be predicted with, in milliseconds.
        without_video: Leave out the video network of the model, and predict from skeletons alone.
        estimator: Pose estimator of videos: blazepose (`make poses` fetches it) or rtmlib.
        max_bodies: Largest number of people in a video, 1 to 32. The most active ones are kept.
        device: Device of the networks: auto (a GPU where there is one), cpu or cuda.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
    """

    model: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: str = ""
    max_mb: int = 64
    max_seconds: int = 120
    max_frames: int = 10_000
    replicas: int = 1
    batch: int = 16
    batch_ms: float = 10.0
    without_video: bool = False
    estimator: EstimatorName = "blazepose"
    max_bodies: int = MAX_BODIES
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)

    def __post_init__(self) -> None:
        check_max_bodies(self.max_bodies)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} must be {low} to {high}, but is {value}.")
