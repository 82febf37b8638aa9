"""Video files matched to their clips, and the reason for every clip without a video."""

import re
from pathlib import Path

import numpy as np
import pytest
from video_files import decode_jpeg, encode_video, image_number, numbered_images

from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import FileKind
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_files import Videos, attach_video, config_fingerprint, decode_frames
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array

CONFIG = VideoConfig(frames=4, size=32)
KIND = FileKind(re.compile(r"(?:.*/)?(\w+)\.avi"), "videos", "a.avi")
TIMING = Timing.whole(16)


def make_clip(sample_id: str = "a", frames: int = 16) -> Clip:
    return Clip(sample_id, 0, 1, 1, 0, np.zeros((1, frames, 20, 3), np.float32))


def locate(width: int, height: int) -> Float32Array:
    return np.full((1, 16, 20, 2), 20, np.float32)


def videos(folder: Path, config: VideoConfig = CONFIG) -> Videos:
    return Videos(str(folder), KIND, lambda path: KIND.groups(path)[0], config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.avi").write_bytes(encode_video(numbered_images(16)))
    return tmp_path


def test_video_of_the_clip_is_attached(folder: Path) -> None:
    clip = videos(folder).attach(make_clip(), locate, TIMING)
    assert clip.video and not clip.no_video
    assert clip.video.positions.tolist() == [2, 6, 10, 14]
    assert [image_number(decode_jpeg(file)) for file in clip.video.images] == [2, 6, 10, 14]


def test_reason_is_given_where_there_is_no_video(folder: Path) -> None:
    known = videos(folder)
    assert known.attach(make_clip("b"), locate, TIMING).no_video == "not found"
    outside = known.attach(make_clip(), lambda *_: locate(1, 1) - 100, TIMING)
    assert outside.no_video.startswith("0 of the 320 known joints lie in its image")
    (folder / "a.avi").write_bytes(b"a text, and no video")
    spoilt = known.attach(make_clip(), locate, TIMING)
    assert spoilt.no_video.startswith("it cannot be decoded (Invalid data found")
    (folder / "a.avi").unlink()
    gone = known.attach(make_clip(), locate, TIMING)
    assert gone.no_video.startswith(f"a.avi in {folder} cannot be read")
    assert not any(clip.video for clip in (outside, spoilt, gone))


def test_two_videos_of_one_clip_are_refused(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "a.avi").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds two videos of a, a.avi and deeper/a.avi: remove"):
        videos(folder)


def test_videos_of_other_clips_are_refused(folder: Path) -> None:
    videos(folder).check_matches(["b", "a"])
    with pytest.raises(InputError, match=r"holds 1 videos, but of none of the 2 clips, such as b"):
        videos(folder).check_matches(["b", "c"])


def test_fingerprint_follows_files_and_format(folder: Path) -> None:
    first = videos(folder).fingerprint()
    assert first == videos(folder).fingerprint()
    other = videos(folder, VideoConfig(frames=5, size=32)).fingerprint()
    assert {key for key in first if first[key] != other[key]} == {"video.frames"}
    (folder / "a.avi").write_bytes(b"shorter")
    changed = videos(folder).fingerprint()
    assert {key for key in first if first[key] != changed[key]} == {"videos"}


def test_format_is_stored_under_the_names_of_its_fields() -> None:
    assert config_fingerprint(CONFIG) == {
        "video.frames": "4", "video.size": "32", "video.margin": "0.15", "video.quality": "90",
    }  # fmt: skip


def test_frames_are_decoded_by_the_skeletons_clock() -> None:
    content = encode_video(numbered_images(8), rate=15)
    images = decode_frames(content, np.array([0, 8, 15]), Timing.whole(16, rate=30.0))
    assert [image_number(image) for image in images] == [0, 4, 7]


def test_any_reader_of_images_may_be_attached() -> None:
    def read_images(positions: Int64Array) -> list[Image]:
        return [image for i, image in enumerate(numbered_images(16)) if i in positions]

    clip = attach_video(make_clip(), read_images, locate, CONFIG)
    assert clip.video and image_number(decode_jpeg(clip.video.images[3])) == 14

    def refuse(positions: Int64Array) -> list[Image]:
        raise NoVideoError("it was lost")

    assert attach_video(make_clip(), refuse, locate, CONFIG).no_video == "it was lost"
