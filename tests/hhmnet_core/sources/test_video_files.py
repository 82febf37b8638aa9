"""Videos of every data set, matched to their clips; and what is said where there is none."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ntu_files import File, Track, name, standing
from scipy.io import savemat
from video_files import decoded, number_of, numbered, own_files, video

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources import nw_ucla, own, utd_mhad
from hhmnet_core.sources.ntu import recordings as ntu
from hhmnet_core.sources.utd_mhad import grey
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import Clip, check_clip

CONFIG = VideoConfig(frames=4, size=32)


def shown(clip: Clip) -> list[int]:
    """Which images of `numbered` a clip's video holds."""
    assert clip.video
    return [number_of(decoded(file)) for file in clip.video.images]


def ntu_files(folder: Path, frames: int = 20) -> tuple[str, str]:
    """A recording whose first frames show nobody, and its video."""
    (folder / "skeletons").mkdir()
    (folder / "videos").mkdir()
    joints = standing(np.random.default_rng(0), frames - 4)
    file = File(frames, [Track(4, joints)])
    (folder / "skeletons" / f"{name()}.skeleton").write_text(file.text())
    content = video(numbered(frames, 192, 108))
    (folder / "videos" / f"{name()}_rgb.avi").write_bytes(content)
    return str(folder / "skeletons"), str(folder / "videos")


def test_ntu_video_shows_the_frames_that_the_cleaning_left(tmp_path: Path) -> None:
    skeletons, videos = ntu_files(tmp_path)
    recordings = ntu.Recordings(skeletons, videos=videos, video=CONFIG)
    clip = recordings.clip(recordings.names[0])
    check_clip(clip, get_layout(ntu.LAYOUT), 60)
    assert clip.video and clip.video.positions.tolist() == [2, 6, 10, 14]
    assert shown(clip) == [6, 10, 14, 18]  # four frames without a body went before
    assert ((clip.video.joints >= 0) & (clip.video.joints <= 1)).all()
    assert clip.pixels is not None  # of the sensor's own size: the video is a tenth of it
    box = clip.pixels[0].reshape(-1, 2) / 10
    side = np.ptp(box, axis=0).max() * 1.3
    spread = np.ptp(clip.pixels[0, 6] / 10, axis=0) / side
    np.testing.assert_allclose(np.ptp(clip.video.joints[0, 1], axis=0), spread, rtol=0.03)


def test_ntu_video_that_cannot_be_used_leaves_the_skeleton(tmp_path: Path) -> None:
    skeletons, videos = ntu_files(tmp_path)
    other = name(performer=2)
    source = Path(skeletons, f"{name()}.skeleton").read_bytes()
    Path(skeletons, f"{other}.skeleton").write_bytes(source)
    recordings = ntu.Recordings(skeletons, videos=videos, video=CONFIG)
    assert recordings.clip(f"{other}.skeleton").no_video == "not found"
    for content, said in (
        (video(numbered(10, 192, 108)), "it shows 0.3 s, but its skeleton 0.7 s"),
        (b"a text, and no video", "it cannot be decoded (Invalid data found"),
    ):
        Path(videos, f"{name()}_rgb.avi").write_bytes(content)
        clip = recordings.clip(f"{name()}.skeleton")
        assert clip.video is None and clip.no_video.startswith(said)
        check_clip(clip, get_layout(ntu.LAYOUT), 60)


def test_videos_of_other_clips_and_two_of_one_are_refused(tmp_path: Path) -> None:
    skeletons, videos = ntu_files(tmp_path)
    twin = Path(videos, "deeper", f"{name()}_rgb.avi")
    twin.parent.mkdir()
    twin.write_bytes(b"")
    with pytest.raises(InputError, match=rf"two videos of {name()}, .* remove one"):
        ntu.Recordings(skeletons, videos=videos)
    twin.unlink()
    Path(videos, f"{name()}_rgb.avi").rename(Path(videos, f"{name(action=9)}_rgb.avi"))
    with pytest.raises(InputError, match=r"holds 1 videos, but of none of the 1 clips"):
        ntu.Recordings(skeletons, videos=videos)
    with pytest.raises(InputError, match=r"holds no NTU videos: expected files like"):
        ntu.Recordings(skeletons, videos=skeletons)


def test_fingerprint_follows_the_videos_and_what_is_kept(tmp_path: Path) -> None:
    skeletons, videos = ntu_files(tmp_path)
    made = [
        ntu.Recordings(skeletons, videos=at, video=config).fingerprint()
        for at, config in ((videos, CONFIG), (videos, VideoConfig(frames=5)), ("", CONFIG))
    ]
    assert len({json.dumps(one, sort_keys=True) for one in made}) == 3
    assert made[0] == ntu.Recordings(skeletons, videos=videos, video=CONFIG).fingerprint()


@pytest.mark.parametrize(
    "path", ["a01/v02_s03_e00.avi", "a01_s03_e00_v02.avi", "x/v2_s3_e0_a1.avi"]
)
def test_nw_ucla_videos_are_found_by_their_numbers(tmp_path: Path, path: str) -> None:
    poses = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 20, 3))
    poses[..., 2] += 3
    content = {"file_name": "x", "skeletons": poses.tolist(), "label": 1}
    source = tmp_path / "all_sqe"
    source.mkdir()
    (source / "a01_s03_e00_v02.json").write_text(json.dumps(content))
    with zipfile.ZipFile(tmp_path / "videos.zip", "w") as packed:
        packed.writestr(f"multiview_action_videos/{path}", video(numbered(20, 320, 240)))
    with nw_ucla.Recordings(source, str(tmp_path / "videos.zip"), CONFIG) as recordings:
        clip = recordings.clip(recordings.names[0])
    assert shown(clip) == [3, 7, 13, 17]  # two images a frame, of frames 1, 3, 6 and 8
    assert clip.video is not None
    x = 160 + 262.5 * poses[..., 0] / poses[..., 2]
    y = 120 - 262.5 * poses[..., 1] / poses[..., 2]
    side = max(np.ptp(x), np.ptp(y)) * 1.3
    spread = np.ptp(x[clip.video.positions[2]]) / side
    np.testing.assert_allclose(np.ptp(clip.video.joints[0, 2, :, 0]), spread, rtol=0.03)


def utd_files(folder: Path, frames: int = 12, depth_frames: int | None = None) -> str:
    random = np.random.default_rng(1)
    poses = random.uniform(-0.6, 0.6, (20, 3, frames))
    poses[:, 2] = 2.4
    savemat(folder / "a1_s1_t1_skeleton.mat", {"d_skel": poses})
    depth = np.zeros((240, 320, depth_frames or frames), np.uint16)
    depth[:, :] = 2000 + 100 * np.arange(depth.shape[2])
    savemat(folder / "a1_s1_t1_depth.mat", {"d_depth": depth})
    (folder / "a1_s1_t1_color.avi").write_bytes(video(numbered(frames // 2, 320, 240)))
    return str(folder)


def test_utd_mhad_depth_is_grey_and_trails_the_skeleton(tmp_path: Path) -> None:
    recordings = utd_mhad.Recordings(utd_files(tmp_path), "depth", CONFIG)
    clip = recordings.clip(recordings.names[0])
    assert clip.video and clip.video.positions.tolist() == [1, 4, 7, 10]
    millimetres = 2000 + 100 * np.array([3, 6, 9, 11])  # two frames on, as far as there are any
    greys = [round(decoded(file).mean()) for file in clip.video.images]
    np.testing.assert_allclose(greys, 1 + 254 * (2400 + 900 - millimetres) / 1500, atol=1.5)
    assert decoded(clip.video.images[0]).shape == (32, 32)


def test_depth_is_grey_around_the_body() -> None:
    depth = np.array([[0, 500, 1400, 2150, 2900, 9000]], dtype=np.uint16)
    assert grey(depth, body=2000).tolist() == [[0, 255, 255, 128, 1, 1]]


def test_utd_mhad_colour_begins_and_ends_with_the_skeleton(tmp_path: Path) -> None:
    recordings = utd_mhad.Recordings(utd_files(tmp_path), "rgb", CONFIG)
    assert shown(recordings.clip(recordings.names[0])) == [0, 2, 3, 5]


def test_utd_mhad_depth_that_does_not_fit_is_said(tmp_path: Path) -> None:
    recordings = utd_mhad.Recordings(utd_files(tmp_path, depth_frames=9), "depth", CONFIG)
    clip = recordings.clip(recordings.names[0])
    assert clip.video is None and "d_depth of shape (240, 320, 9)" in clip.no_video
    (tmp_path / "a1_s1_t1_depth.mat").write_bytes(b"spoilt")
    assert "no MATLAB file" in recordings.clip(recordings.names[0]).no_video
    with pytest.raises(InputError, match="focal must be above 0"):
        utd_mhad.Recordings(str(tmp_path), "depth", focal=0.0)
    (tmp_path / "a1_s1_t1_depth.mat").unlink()
    with pytest.raises(InputError, match="holds no UTD-MHAD depth"):
        utd_mhad.Recordings(str(tmp_path), "depth")


def test_own_videos_with_pixels_without_and_without_a_file(tmp_path: Path) -> None:
    recordings = own.Recordings(own_files(tmp_path), get_layout("kinect_v1_20"), (), CONFIG)
    a, b, c, d, e, f = (recordings.clip(sample_id) for sample_id in "abcdef")
    assert shown(a) == [3, 7, 11, 15]
    assert a.video is not None and a.video.joints.shape == (2, 4, 20, 2)
    assert b.no_video == "its skeleton file has no pixels"
    assert c.no_video == "none in the table"
    assert d.no_video == "there is no file no.avi"
    assert e.no_video.startswith("Cannot read . in") and "Protocol not known" in f.no_video
    assert not any(clip.video for clip in (b, c, d, e, f))


def test_own_2d_joints_are_the_videos_pixels(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(12, 36, size=(8, 17, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", joints)
    (tmp_path / "a.avi").write_bytes(video(numbered(8)))
    (tmp_path / "t.csv").write_text(
        "sample_id,label,subject,skeleton,video\na,x,1,a.npy,a.avi\nb,x,2,a.npy,a.avi\n"
    )
    recordings = own.Recordings(str(tmp_path / "t.csv"), get_layout("coco_17"), (), CONFIG)
    clip = recordings.clip("a")
    assert shown(clip) == [1, 3, 5, 7]
    assert clip.video is not None and ((clip.video.joints > 0) & (clip.video.joints < 1)).all()
    with pytest.raises(InputError, match="fps must be above 0"):
        own.Recordings(str(tmp_path / "t.csv"), get_layout("coco_17"), fps=0.0)
