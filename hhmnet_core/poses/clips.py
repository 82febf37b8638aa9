"""The poses of a video as a clip of any layout that its joints can be mapped to.

Axes: M bodies, T images, V joints of the clip's layout.
"""

from dataclasses import dataclass

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.poses.placing import place
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.skeleton.layout_maps import find_map
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import (
    MIN_CONFIDENCE,
    BoolArray,
    Float32Array,
    OnMissing,
    complete,
    known_joints,
)
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image
from hhmnet_core.sources.video_files import attach_video, decode_frames
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Int64Array


@dataclass(frozen=True)
class PoseReading:
    """Conversion of poses to joints of a clip.

    Attributes:
        missing: Treatment of joints that are missing while their body is present.
        min_confidence: Smallest confidence of a known joint.
        focal: Focal length of the camera, in pixels. None: the larger side of the images.
    """

    missing: OnMissing = "interpolate"
    min_confidence: float = MIN_CONFIDENCE
    focal: float | None = None


DEFAULT_READING = PoseReading()


@dataclass(frozen=True)
class PosedClip:
    """A clip from the poses of a video.

    Attributes:
        clip: The clip, of class 0 and subject 0.
        pixels: (M, T, V, 2) its joints in the images, NaN for unknown ones.
        first: Image that became its first frame.
        num_images: Number of images of the video.
    """

    clip: Clip
    pixels: Float32Array
    first: int
    num_images: int

    def with_images(self, content: bytes, config: VideoConfig) -> Clip:
        """Return the clip with images of its video, cropped around the joints.

        Args:
            content: The video file.
            config: Format of the images.
        """
        stop = self.first + self.clip.joints.shape[1]
        timing = Timing(np.arange(self.first, stop, dtype=np.int64), self.num_images)

        def read_images(positions: Int64Array) -> list[Image]:
            return decode_frames(content, positions, timing)

        return attach_video(self.clip, read_images, lambda width, height: self.pixels, config)


def clip_of_tracks(
    tracks: PoseTracks, layout: Layout, name: str, reading: PoseReading = DEFAULT_READING
) -> PosedClip:
    """Return the clip of a video's poses.

    Args:
        tracks: The poses.
        layout: Layout of the clip.
        name: Sample id of the clip, and its name in messages.
        reading: Conversion of poses to joints.

    Raises:
        InputError: There are no poses, no map to the layout, or joints are missing and to be
            refused.
    """
    if not tracks.num_bodies:
        raise InputError(
            f"{name} shows nobody: no person was found in its {tracks.num_frames} images."
        )
    joints, pixels, confidence = _in_layout(tracks, layout, reading.focal)
    known = known_joints(joints, frozenset(), confidence, reading.min_confidence)
    done = complete(joints, known, layout, reading.missing, name)
    pixels = np.where(known[..., None], pixels, np.float32(np.nan))
    pixels = pixels[list(done.bodies), done.first : done.first + done.joints.shape[1]]
    pixels = np.ascontiguousarray(pixels)
    clip = Clip(
        sample_id=name,
        label=0,
        subject=0,
        camera=0,
        setup=0,
        joints=done.joints,
        pixels=pixels if layout.channels == 3 else None,
        missing=done.missing if done.missing.any() else None,
        dropped=tracks.dropped | done.counts,
    )
    return PosedClip(clip, pixels, done.first, tracks.num_frames)


def _in_layout(
    tracks: PoseTracks, layout: Layout, focal: float | None
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return joints, pixels and confidence in a layout."""
    mapping = find_map(tracks.layout.name, layout.name)
    known: BoolArray = np.all(np.isfinite(tracks.pixels), -1)
    pixels = mapping.joints(tracks.pixels, known)
    confidence = mapping.confidence(tracks.confidence)
    if layout.channels == 2:
        return pixels, pixels, confidence
    if tracks.world is None:
        raise InputError(
            f"The estimator gives positions in the image only ({tracks.layout.name}), but layout "
            f"{layout.name} is in metres: use blazepose."
        )
    return mapping.joints(place(tracks, focal), known), pixels, confidence
