"""BlazePose as an estimator: detect people, find their joints, and follow them.

The region of a person comes from the joints in the image before, so that an image costs one pass of
the landmark network for each person. The detector runs in the first image, while nobody is seen,
when someone is lost, and in every tenth image to find people who have come in.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from queue import SimpleQueue

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.poses import models
from hhmnet_core.poses.blazepose import landmarks
from hhmnet_core.poses.blazepose.anchors import SIZE as DETECTOR_SIZE
from hhmnet_core.poses.blazepose.detection import MIN_SCORE, decode, merge
from hhmnet_core.poses.blazepose.landmarks import Pose, decode_pose
from hhmnet_core.poses.blazepose.networks import Detector, LandmarkNetwork, interpreter
from hhmnet_core.poses.blazepose.regions import Region, shrink
from hhmnet_core.poses.contract import People
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.sources.video_decoding import Image

LAYOUT = "blazepose_33"
SAME_CENTRE = 0.1  # of a region's side; a detection nearer to a known person is that person
SAME_POSE = 0.06  # of a region's side; poses whose joints are nearer are of one person
VISIBLE = 0.5  # smallest confidence of joints that are compared


@dataclass(frozen=True)
class BlazePoseConfig:
    """Settings of BlazePose.

    Attributes:
        min_score: Smallest score of a detected person, 0 to 1.
        min_presence: Smallest probability that a region shows a person, 0 to 1; below it the person
            is lost.
        detect_every: Number of images from one run of the detector to the next.
        max_people: Largest number of people in an image.

    Raises:
        InputError: A value out of range.
    """

    min_score: float = MIN_SCORE
    min_presence: float = 0.5
    detect_every: int = 10
    max_people: int = 8

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("min_score", 0, 1),
            ("min_presence", 0, 1),
            ("detect_every", 1, 10_000),
            ("max_people", 1, 32),
        ):
            if not lowest <= (value := getattr(self, name)) <= highest:
                raise InputError(f"blazepose.{name} must be {lowest} to {highest}, but is {value}.")

    @property
    def layout(self) -> Layout:
        """Layout of the joints."""
        return get_layout(LAYOUT)

    @property
    def advice(self) -> str:
        """What to try where nobody is found."""
        return (
            f"leave it out, or lower --blazepose.min_score ({self.min_score}) or "
            f"--blazepose.min_presence ({self.min_presence})"
        )

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the results.

        Raises InputError where a model or LiteRT is missing.
        """
        interpreter()
        files = {file.name: file.sha256 for file in models.MODEL_FILES if models.read_model(file)}
        settings = {f"blazepose.{name}": str(value) for name, value in asdict(self).items()}
        return {"estimator": "blazepose/1", **files, **settings}

    def open(self, threads: int = 1) -> "BlazePose":
        """Load the models. Raises InputError where one, or LiteRT, is missing.

        Args:
            threads: Number of people whose joints are found side by side.
        """
        return BlazePose(self, threads)


class BlazePose:
    """BlazePose on the images of a video.

    Args:
        config: Settings.
        threads: Number of people whose joints are found side by side. No result depends on it.

    Raises:
        InputError: A model or LiteRT is missing.
    """

    def __init__(self, config: BlazePoseConfig = BlazePoseConfig(), threads: int = 1) -> None:
        self.config, self.layout = config, config.layout
        self._detector = Detector(models.read_model(models.DETECTOR))
        content = models.read_model(models.LANDMARKS)
        self._landmarks: SimpleQueue[LandmarkNetwork] = SimpleQueue()
        for _ in range(threads):  # a network runs one image at a time
            self._landmarks.put(LandmarkNetwork(content))
        self._pool = ThreadPoolExecutor(threads, "pose") if threads > 1 else None
        self.reset()

    def reset(self) -> None:
        """Forget the images of the last video."""
        self._regions: list[Region] = []
        self._until_detection = 0

    def estimate(self, image: Image) -> People:
        """Return the people of the next image, (H, W, 3) uint8 RGB."""
        poses = self._poses(image, self._regions)
        is_lost = len(poses) < len(self._regions)
        if not poses or is_lost or self._until_detection <= 0:
            new = [region for region in self._detect(image) if not _is_known(region, poses)]
            free = self.config.max_people - len(poses)
            poses = _different(poses + self._poses(image, new[:free]))
            self._until_detection = self.config.detect_every
        self._until_detection -= 1
        self._regions = [pose.next_region for pose in poses]
        return _people(poses, self.layout)

    def _detect(self, image: Image) -> list[Region]:
        """Return the regions of detected people, by falling score."""
        whole = Region.whole(image.shape[1], image.shape[0])
        small = shrink(image, DETECTOR_SIZE)
        boxes, logits = self._detector.detect(small / np.float32(127.5) - 1)
        found = merge(decode(boxes, logits, self.config.min_score))
        points = whole.to_image(found.points)
        return [Region.around(each[0], each[1]) for each in points]

    def _poses(self, image: Image, regions: list[Region]) -> list[Pose]:
        """Return the poses in regions that show a person, each person once."""

        def pose_in(region: Region) -> Pose:
            cut = region.cut(image, landmarks.SIZE)
            network = self._landmarks.get()
            try:
                return decode_pose(network.outputs(cut / np.float32(255)), region)
            finally:
                self._landmarks.put(network)

        run = self._pool.map if self._pool and len(regions) > 1 else map
        poses = run(pose_in, regions)
        return _different([pose for pose in poses if pose.present >= self.config.min_presence])


def _is_known(region: Region, poses: list[Pose]) -> bool:
    """Return whether a detected region is that of a person whose pose is known."""
    return any(
        np.hypot(region.x - known.x, region.y - known.y)
        < SAME_CENTRE * max(region.side, known.side)
        for known in (pose.next_region for pose in poses)
    )


def _different(poses: list[Pose]) -> list[Pose]:
    """Return poses without those of a person whose pose came earlier."""
    kept: list[Pose] = []
    for pose in poses:
        if not any(_are_same(pose, other) for other in kept):
            kept.append(pose)
    return kept


def _are_same(one: Pose, other: Pose) -> bool:
    """Return whether the joints that are visible in two poses are in the same places."""
    visible = np.minimum(one.confidence, other.confidence) >= VISIBLE
    if not visible.any():
        visible[:] = True
    distances = np.linalg.norm(one.pixels - other.pixels, axis=-1)[visible]
    side = min(one.next_region.side, other.next_region.side)
    return float(np.median(distances)) < SAME_POSE * side


def _people(poses: list[Pose], layout: Layout) -> People:
    if not poses:
        return People.nobody(layout)
    return People(
        pixels=np.stack([pose.pixels for pose in poses]),
        confidence=np.stack([pose.confidence for pose in poses]),
        world=np.stack([pose.world for pose in poses]),
    )
