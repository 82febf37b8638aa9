"""The poses of a video, or of any stream of images."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.poses.contract import Estimator
from hhmnet_core.poses.tracking import Tracker
from hhmnet_core.poses.tracks import PoseTracks, check_max_bodies, keep_bodies
from hhmnet_core.sources.video_decoding import Image, NoVideoError, iterate_images

AHEAD = 2  # images
_POLL_SECONDS = 0.2
MAX_BODIES = 2  # that are kept of a video by default, as in NTU RGB+D


def poses_of_video(
    video: bytes | str | os.PathLike[str], estimator: Estimator, max_bodies: int = MAX_BODIES
) -> PoseTracks:
    """Return the poses of a video's people.

    Args:
        video: Content of the file, or its path or URI.
        estimator: Estimator of the poses in an image.
        max_bodies: Largest number of bodies that are kept, by their activity.

    Raises:
        InputError: There is no such file, or `max_bodies` is outside 1 to 32.
        NoVideoError: The file is not a video, cut off or damaged.
    """
    if isinstance(video, bytes):
        content = video
    else:
        folder, name = split_uri(video)
        try:
            content = folder.read(name, expansion=1)
        except FileNotFoundError as error:
            raise InputError(f"There is no video at {os.fspath(video)}.") from error
    return poses_of_images(iterate_images(content), estimator, max_bodies)


def decode_ahead(images: Iterable[Image]) -> Iterator[Image]:
    """Yield images that a thread decodes, up to two of them before they are asked for."""
    ready: Queue[Image | None] = Queue(AHEAD)
    errors: list[BaseException] = []
    is_over = Event()

    def decode() -> None:
        try:
            for image in images:
                while not is_over.is_set():
                    with suppress(Full):
                        ready.put(image, timeout=_POLL_SECONDS)
                        break
                if is_over.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        while not is_over.is_set():
            with suppress(Full):
                ready.put(None, timeout=_POLL_SECONDS)
                return

    thread = Thread(target=decode, name="decode", daemon=True)
    thread.start()
    try:
        while (image := ready.get()) is not None:
            yield image
        if errors:
            raise errors[0]
    finally:
        is_over.set()
        thread.join()


def poses_of_images(
    images: Iterable[Image], estimator: Estimator, max_bodies: int = MAX_BODIES
) -> PoseTracks:
    """Return the poses of the people in a stream of images, holding one image at a time.

    Args:
        images: (H, W, 3) uint8 RGB, of one size.
        estimator: Estimator of the poses in an image. It is reset first.
        max_bodies: Largest number of bodies that are kept, by their activity.

    Raises:
        InputError: `max_bodies` is outside 1 to 32.
        NoVideoError: An image has another size than the first one.
    """
    check_max_bodies(max_bodies)
    estimator.reset()
    tracker, size = Tracker(), (0, 0)
    for image in decode_ahead(images):
        height, width = image.shape[:2]
        if tracker.num_frames and size != (width, height):
            raise NoVideoError(
                f"its images change from {size[0]} x {size[1]} to {width} x {height} pixels"
            )
        size = width, height
        tracker.add(estimator.estimate(image))
    return keep_bodies(tracker, estimator.layout, size, max_bodies)
