"""The options of a prediction."""

from dataclasses import dataclass, field
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.live.addresses import LiveAddress, live_address
from hhmnet_core.poses.estimators import EstimatorName
from hhmnet_core.poses.recordings import MAX_FOCAL
from hhmnet_core.poses.video import MAX_BODIES
from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, OnMissing
from hhmnet_platform.serving.inputs import LIST, READ
from hhmnet_platform.serving.predictions import ENDINGS
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class PredictJob:
    """A prediction.

    Attributes:
        model: Model: its folder, or the name or folder of a finished run, fusion or ensemble.
        input: Recordings: a skeleton file (.npy, .npz, .json, NTU's .skeleton), a video, a folder
            of such files, a CSV that lists them (column `skeleton` or `video`; optionally
            `sample_id` and `fps`), or a clip store. Live: a camera (0, /dev/video0) or stream
            (rtsp://, rtmp://, http://, https://, udp://, tcp://, srt://), until Ctrl-C.
        out: File for the predictions: .parquet, .csv or .json; of a live input .jsonl or .json, a
            local file of one JSON object per line. Default: they are only printed.
        render: Video to draw: the recording with its skeletons, the action and a timeline. A file
            for one recording (.mp4, .mkv, .mov), a folder for several; a local file for a live
            input. Default: none.
        layout: Skeleton layout of skeleton files: a name, or a .yaml file. Default: the model's.
            Another one is converted where there is a map between the two.
        axes: Order of the axes of .npy, .npz and .json files, such as CTVM. Default: TVC or MTVC.
        missing: Treatment of joints that are missing while their body is present: refuse, hold
            (repeat the last known position) or interpolate. Default: refuse in skeleton files,
            interpolate in videos.
        min_confidence: Smallest confidence of a known joint, 0 to 1, where it is recorded.
        fps: Frames per second of the skeletons, for windows in seconds. Default: unknown; NTU: 30.
            Of a live input: frame rate of the training data, to which its poses are brought.
            Default: 30.
        window: Length of the windows that long recordings are cut into, such as 2s or 60f (frames).
            Default: each recording is one action; 2s of a live input.
        stride: Distance from one window to the next. Default: half a window; 0.5s of a live input.
        duration: Time after which a live input is ended, such as 60s. Default: at Ctrl-C.
        estimator: Pose estimator of videos: blazepose (`make poses` fetches it) or rtmlib.
        max_bodies: Largest number of people in a video, 1 to 32. The most active ones are kept.
        focal: Focal length of the camera of videos, in pixels. Default: the larger side.
        threshold: Confidence below which an action is called unsure. Default: the one that was
            chosen on val when the model was made, else 0.
        batch: Number of clips that are predicted at a time.
        without_video: Leave out the video network of the model, and predict from skeletons alone.
        device: Device of the networks: auto (a GPU where there is one), cpu or cuda.
        workers: Number of processes that predict files side by side with Ray Data, on this machine
            or the cluster of RAY_ADDRESS; 0 is one per CPU core. --out is then a folder, to which
            the same command adds what is missing. Default: this process alone.
        overwrite: Replace files of --out and --render that exist.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
    """

    model: str = ""
    input: str = ""
    out: str = ""
    render: str = ""
    layout: str = ""
    axes: str = ""
    missing: OnMissing | None = None
    min_confidence: float = MIN_CONFIDENCE
    fps: float | None = None
    window: str = ""
    stride: str = ""
    duration: str = ""
    estimator: EstimatorName = "blazepose"
    max_bodies: int = MAX_BODIES
    focal: float | None = None
    threshold: float | None = None
    batch: int = 64
    without_video: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = None
    overwrite: bool = False
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold must be 0 to 1, but is {self.threshold}.")
        if not 1 <= self.batch <= 65_536:
            raise InputError(f"batch must be 1 to 65536, but is {self.batch}.")
        if self.focal is not None and not 0 < self.focal <= MAX_FOCAL:
            raise InputError(f"focal must be above 0, up to {MAX_FOCAL}, but is {self.focal}.")
        if self.workers is not None:
            if not 0 <= self.workers <= 10_000:
                raise InputError(f"workers must be 0 to 10000, but is {self.workers}.")
            if not self.out or self.out.lower().endswith(ENDINGS):
                raise InputError(
                    f"--workers writes a folder, but --out is {self.out or 'missing'}: give a "
                    "folder of its own."
                )
        if self.stride and not self.window and self.live is None:
            raise InputError("--stride needs --window, the length of the windows.")
        if self.duration and self.live is None:
            raise InputError(f"--duration is for a live input, but --input is {self.input!r}.")

    @property
    def live(self) -> LiveAddress | None:
        """Camera or stream that the input is. None for recordings."""
        return live_address(self.input, (*READ, LIST))
