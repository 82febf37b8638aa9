"""Clips, each one recorded action, and sets of clips held end to end in memory.

Axes: N clips, M bodies, T frames of one body, F frames of all bodies of all clips, V joints,
C coordinates of a joint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.manifest import Manifest

Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Video:
    """Images of a clip, evenly spaced over its frames and cropped around its bodies.

    Attributes:
        images: F JPEG files, all square and of one size.
        positions: (F,) frames of `Clip.joints` that they show, rising.
        joints: (M, F, V, 2) float32 joints in the image, as shares of its width and height (x to
            the right, y down), 0 to 1 inside. NaN for unknown ones.
    """

    images: tuple[bytes, ...]
    positions: Int64Array
    joints: Float32Array


@dataclass(frozen=True)
class Clip:
    """One recorded action.

    Attributes:
        sample_id: Id, unique in its data set, by which score tables are joined.
        label: Class, from 0.
        subject: Number of the acting person, as in the data set.
        camera: Number of the viewpoint, as in the data set.
        setup: Number of the recording's set-up. 0 where a data set has none.
        joints: (M, T, V, C) float32 joints of the bodies that are present, M >= 1, T >= 1.
        pixels: (M, T, V, 2) float32 joints in the colour image (x to the right, y down, in
            pixels). NaN for unknown ones. None: not recorded.
        video: Images of the clip. None: no video.
        no_video: Reason why a clip of a data set with video has none. A store lists it, but does
            not keep it with the clip.
        dropped: Number of things that the source left out of the recording, by kind. A store counts
            them, but does not keep them with the clip.
        missing: (M, T, V) Whether a joint's position was missing and has been filled in. None: none
            was.
    """

    sample_id: str
    label: int
    subject: int
    camera: int
    setup: int
    joints: Float32Array
    pixels: Float32Array | None = None
    video: Video | None = None
    no_video: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    missing: BoolArray | None = None


@dataclass(frozen=True)
class ClipSet:
    """Clips end to end, nothing padded: body m of clip i is
    `frames[first_frame[i] + m * num_frames[i] :][: num_frames[i]]`.

    Attributes:
        manifest: Manifest of their store.
        skeletons: sha256 (hex) of all that decides a result but for images. It is the same with
            and without video, and for any number of shards.
        sample_ids: (N,) ids.
        labels: (N,) classes, from 0.
        subjects: (N,) numbers of the acting persons.
        cameras: (N,) numbers of the viewpoints.
        setups: (N,) numbers of the set-ups.
        num_frames: (N,) frames of each body.
        num_bodies: (N,) bodies present.
        first_frame: (N,) first row of the clip in `frames`.
        frames: (F, V, C) float32 joints, read-only, mapped from a file.
        missing: (F, V) Whether a joint's position was missing and has been filled in. None: none
            was in any clip.
    """

    manifest: Manifest
    skeletons: str
    sample_ids: NDArray[np.str_]
    labels: Int64Array
    subjects: Int64Array
    cameras: Int64Array
    setups: Int64Array
    num_frames: Int64Array
    num_bodies: Int64Array
    first_frame: Int64Array
    frames: Float32Array
    missing: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, manifest: Manifest, clips: Sequence[Clip]) -> "ClipSet":
        """Return clips that are in memory as a set, without a digest of their skeletons.

        Args:
            manifest: Layout and classes of the clips.
            clips: One clip or more, as `check_clip` accepts them.
        """
        bodies, frames = np.array([clip.joints.shape[:2] for clip in clips], np.int64).T
        joints = [clip.joints.reshape(-1, *clip.joints.shape[2:]) for clip in clips]
        missing = None
        if any(clip.missing is not None for clip in clips):
            marks = (
                np.zeros(clip.joints.shape[:3], bool) if clip.missing is None else clip.missing
                for clip in clips
            )
            missing = np.concatenate([each.reshape(-1, each.shape[-1]) for each in marks])
        return cls(
            manifest=manifest,
            skeletons="",
            sample_ids=np.array([clip.sample_id for clip in clips]),
            labels=np.array([clip.label for clip in clips], np.int64),
            subjects=np.array([clip.subject for clip in clips], np.int64),
            cameras=np.array([clip.camera for clip in clips], np.int64),
            setups=np.array([clip.setup for clip in clips], np.int64),
            num_frames=frames,
            num_bodies=bodies,
            first_frame=np.cumsum(bodies * frames) - bodies * frames,
            frames=np.concatenate(joints),
            missing=missing,
        )

    def clip(self, index: int) -> Clip:
        """Return the clip at `index`. Its arrays are views of those of the set."""
        first, bodies = int(self.first_frame[index]), int(self.num_bodies[index])
        frames = int(self.num_frames[index])
        rows = slice(first, first + bodies * frames)
        joints_fvc = self.frames[rows]
        missing = None if self.missing is None else self.missing[rows].reshape(bodies, frames, -1)
        return Clip(
            sample_id=str(self.sample_ids[index]),
            label=int(self.labels[index]),
            subject=int(self.subjects[index]),
            camera=int(self.cameras[index]),
            setup=int(self.setups[index]),
            joints=joints_fvc.reshape(bodies, frames, *joints_fvc.shape[1:]),
            missing=missing,
        )


def check_clip(clip: Clip, layout: Layout, num_classes: int) -> None:
    """Raise InputError, naming the clip, unless it can be trained on.

    Refused are joints that are not (M, T, V, C) float32 of the layout, an empty clip, NaN or
    infinite joints, pixels or a video that do not fit the joints, infinite pixels, and a label
    outside [0, num_classes).
    """
    what = f"Clip {clip.sample_id}"
    if clip.joints.ndim != 4 or clip.joints.dtype != np.float32:
        raise InputError(
            f"{what} has joints of shape {clip.joints.shape} and type {clip.joints.dtype}; "
            "expected (bodies, frames, joints, channels) of float32."
        )
    bodies, frames, joints, channels = clip.joints.shape
    layout.check(joints, channels, what)
    if bodies < 1 or frames < 1:
        raise InputError(
            f"{what} is empty ({bodies} bodies, {frames} frames): leave it out of the data."
        )
    if clip.pixels is not None and (
        clip.pixels.shape != (bodies, frames, joints, 2) or clip.pixels.dtype != np.float32
    ):
        raise InputError(
            f"{what} has pixels of shape {clip.pixels.shape} and type {clip.pixels.dtype}; "
            f"expected {(bodies, frames, joints, 2)} of float32, as its joints."
        )
    if clip.pixels is not None and np.isinf(clip.pixels).any():
        raise InputError(f"{what} has infinite pixels: expected NaN for unknown joints.")
    if clip.missing is not None and clip.missing.shape != (bodies, frames, joints):
        raise InputError(
            f"{what} has marks of missing joints of shape {clip.missing.shape}, expected "
            f"{(bodies, frames, joints)}, as its joints."
        )
    if clip.video is not None:
        _check_video(clip.video, (bodies, frames, joints), what)
    if not np.isfinite(clip.joints).all():
        body, frame, joint, _ = (int(at) for at in np.argwhere(~np.isfinite(clip.joints))[0])
        raise InputError(
            f"{what} has a NaN or infinite coordinate (body {body}, frame {frame}, joint "
            f"{layout.joints[joint]}): repair the clip or leave it out."
        )
    if not 0 <= clip.label < num_classes:
        raise InputError(
            f"{what} has label {clip.label}, but there are {num_classes} classes: expected a "
            f"label from 0 to {num_classes - 1}."
        )


def _check_video(video: Video, shape: tuple[int, int, int], what: str) -> None:
    bodies, frames, joints = shape
    images, positions = len(video.images), video.positions
    if not images or positions.shape != (images,) or positions.dtype != np.int64:
        raise InputError(
            f"{what} has {images} images, but positions of shape {positions.shape} and type "
            f"{positions.dtype}: expected an image or more, and an int64 position for each."
        )
    if positions.min() < 0 or positions.max() >= frames or (np.diff(positions) < 0).any():
        raise InputError(
            f"{what} has images at frames {positions.tolist()}: expected rising numbers from 0 to "
            f"{frames - 1}."
        )
    if video.joints.shape != (bodies, images, joints, 2) or video.joints.dtype != np.float32:
        raise InputError(
            f"{what} has image joints of shape {video.joints.shape} and type {video.joints.dtype}; "
            f"expected {(bodies, images, joints, 2)} of float32."
        )
