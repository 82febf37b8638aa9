"""NTU RGB+D: skeleton files and videos to clips."""

import hashlib
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ntu_files import SkeletonFile, Track, clip_name, parse_plainly, standing_body
from video_files import decode_jpeg, encode_video, image_number, numbered_images

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.ntu.recordings import LAYOUT, Recordings
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import check_clip

CONFIG = VideoConfig(frames=4, size=32)


def person(frames: int = 20, seed: int = 0) -> SkeletonFile:
    return SkeletonFile(frames, [Track(0, standing_body(np.random.default_rng(seed), frames))])


def crowd() -> SkeletonFile:
    """Two actors, one of them lost for some frames, and a passer-by."""
    random = np.random.default_rng(2)
    return SkeletonFile(
        40,
        [
            Track(2, 3 * standing_body(random, 18), 0),
            Track(2, standing_body(random, 38, 0.8), 1),
            Track(25, 3 * standing_body(random, 15), 2),
            Track(4, standing_body(random, 5), 3),
        ],
    )


def write(folder: Path, sample_id: str, file: SkeletonFile | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sample_id}.skeleton"
    path.write_text((file or person()).text())
    return path


def test_clip_carries_the_facts_of_its_name(tmp_path: Path) -> None:
    sample_id = clip_name(setup=5, camera=3, performer=10, replication=2, action=58)
    write(tmp_path / "deep" / "down", sample_id)
    recordings = Recordings(str(tmp_path))
    (clip,) = map(recordings.clip, recordings.names)
    assert (clip.sample_id, clip.label, clip.subject, clip.camera, clip.setup) == (
        sample_id, 57, 10, 3, 5,
    )  # fmt: skip
    assert recordings.edition.class_names[clip.label] == "shaking hands"
    check_clip(clip, get_layout(LAYOUT), 60)


def test_clip_is_the_centred_recording(tmp_path: Path) -> None:
    path = write(tmp_path, clip_name())
    clip = Recordings(str(tmp_path)).clip(path.name)
    (rows,) = parse_plainly(path.read_text()).values()
    values = np.array([numbers for _, numbers in rows]).astype(np.float32)
    np.testing.assert_array_equal(clip.joints[0], values[:, :, :3] - values[0, 1, :3])
    assert clip.pixels is not None
    np.testing.assert_array_equal(clip.pixels[0], values[:, :, 3:])
    assert not clip.dropped


def test_two_actors_a_lost_track_and_a_passer_by(tmp_path: Path) -> None:
    write(tmp_path, clip_name(action=50), crowd())
    recordings = Recordings(str(tmp_path))
    clip = recordings.clip(recordings.names[0])
    assert clip.joints.shape == (2, 38, 25, 3)
    assert not clip.joints[0, 18:23].any() and clip.joints[0, 23:].any()
    assert clip.pixels is not None and np.isnan(clip.pixels[0, 18:23]).all()
    assert clip.dropped == {"frames without bodies": 2, "bodies seen in 11 frames or fewer": 1}


def test_clips_of_known_files_are_unchanged(tmp_path: Path) -> None:
    """A changed value means other clips: change the reader's version too."""
    write(tmp_path, clip_name())
    write(tmp_path, clip_name(action=50), crowd())
    recordings, digest = Recordings(str(tmp_path)), hashlib.sha256()
    for clip in map(recordings.clip, recordings.names):
        assert clip.pixels is not None
        digest.update(clip.joints.tobytes() + np.nan_to_num(clip.pixels).tobytes())
    assert digest.hexdigest() == (
        "0c71bce0567827a75a35a18cd1fdf8056eb38ed268c4651ca9f79135edc07442"
    )
    aligned = Recordings(str(tmp_path), align=True).clip(recordings.names[0])
    # Not a digest: rotations may differ in the last bit between processors.
    np.testing.assert_allclose(aligned.joints[0, 7, 10], [0.631485, 0.037026, 0.053673], atol=1e-5)


def test_aligned_clip_and_its_fingerprint_differ(tmp_path: Path) -> None:
    write(tmp_path, clip_name())
    plain, aligned = Recordings(str(tmp_path)), Recordings(str(tmp_path), align=True)
    assert plain.fingerprint() != aligned.fingerprint()
    one, two = (r.clip(r.names[0]).joints for r in (plain, aligned))
    assert not np.allclose(one, two)
    np.testing.assert_allclose(np.linalg.norm(one, axis=3), np.linalg.norm(two, axis=3), atol=1e-5)


def test_folder_zip_and_zips_in_a_folder_give_the_same_clips(tmp_path: Path) -> None:
    names = [
        clip_name(),
        clip_name(performer=2),
        clip_name(setup=18, performer=8, action=61),
    ]
    paths = [write(tmp_path / "files", n, person(seed=i)) for i, n in enumerate(names)]
    (tmp_path / "zips").mkdir()
    for target, members in (
        ("all.zip", paths),
        ("zips/1.zip", paths[:2]),
        ("zips/2.zip", paths[2:]),
    ):
        with zipfile.ZipFile(tmp_path / target, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in members:
                packed.write(path, f"nturgb+d_skeletons/{path.name}")
    first, *others = [
        pickle.loads(pickle.dumps(Recordings(str(tmp_path / source))))
        for source in ("files", "all.zip", "zips")
    ]
    assert first.number == 120
    for other in others:
        assert list(map(other.sample_id, other.names)) == names
        for one, two in zip(first.names, other.names, strict=True):
            np.testing.assert_array_equal(first.clip(one).joints, other.clip(two).joints)


def test_missing_and_foreign_files_are_listed_not_read(tmp_path: Path) -> None:
    write(tmp_path, clip_name())
    for sample_id in ("S001C002P005R002A008", clip_name(action=99)):
        (tmp_path / f"{sample_id}.skeleton").write_text("spoilt")
    recordings = Recordings(str(tmp_path), 60)
    assert list(recordings.names) == [f"{clip_name()}.skeleton"]
    absent = recordings.absent()
    assert Counter(absent.values()) == {
        "not found": 56_578 - 1,
        "published as missing": 302,
        "not of NTU RGB+D 60": 1,
    }
    assert clip_name() not in absent
    assert absent["S001C002P005R002A008"] == "published as missing"


def test_same_files_elsewhere_are_the_same_source(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        write(tmp_path / folder, clip_name())
    here, there = (Recordings(str(tmp_path / folder)).fingerprint() for folder in ("here", "there"))
    assert here == there
    write(tmp_path / "there", clip_name(), person(21))
    assert Recordings(str(tmp_path / "there")).fingerprint() != here


def test_wrong_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing at .*nowhere"):
        Recordings(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"holds no NTU skeletons.*S001C001P001R001A001.skeleton"):
        Recordings(str(tmp_path))
    write(tmp_path, clip_name(action=99))
    with pytest.raises(InputError, match=r"holds 1 \.skeleton files, but none that NTU RGB\+D 60"):
        Recordings(str(tmp_path), 60)
    write(tmp_path / "a", clip_name())
    write(tmp_path / "b", clip_name())
    with pytest.raises(InputError, match=rf"holds {clip_name()} twice, as a/.* and as b/"):
        Recordings(str(tmp_path))


def test_recordings_that_show_nobody_are_named(tmp_path: Path) -> None:
    lost = SkeletonFile(20, [Track(0, np.full((20, 25, 3), np.nan))])
    for file, reason in (
        (SkeletonFile(5), "shows no body in any of its frames"),
        (lost, "shows no body whose joints are all numbers"),
    ):
        name = write(tmp_path, clip_name(), file).name
        with pytest.raises(InputError, match=rf"^{name} in {tmp_path} {reason}"):
            Recordings(str(tmp_path)).clip(name)


def test_joint_outside_the_colour_image_has_no_pixels(tmp_path: Path) -> None:
    path = write(tmp_path, clip_name())
    lines = path.read_text().split("\n")
    fields = lines[4].split(" ")
    lines[4] = " ".join([*fields[:5], "-1.#INF", "9e99", *fields[7:]])
    path.write_text("\n".join(lines))
    clip = Recordings(str(tmp_path)).clip(path.name)
    assert clip.pixels is not None
    assert np.isnan(clip.pixels[0, 0, 0]).all() and np.isfinite(clip.pixels[0, 0, 1:]).all()
    check_clip(clip, get_layout(LAYOUT), 60)
    assert not clip.dropped


def write_with_video(folder: Path, frames: int = 20) -> tuple[str, str]:
    """Write a recording whose first four frames show nobody, and its video."""
    joints = standing_body(np.random.default_rng(0), frames - 4)
    write(folder / "skeletons", clip_name(), SkeletonFile(frames, [Track(4, joints)]))
    (folder / "videos").mkdir()
    content = encode_video(numbered_images(frames, 192, 108))
    (folder / "videos" / f"{clip_name()}_rgb.avi").write_bytes(content)
    return str(folder / "skeletons"), str(folder / "videos")


def test_video_shows_the_frames_that_cleaning_kept(tmp_path: Path) -> None:
    skeletons, videos = write_with_video(tmp_path)
    recordings = Recordings(skeletons, videos=videos, video=CONFIG)
    clip = recordings.clip(recordings.names[0])
    check_clip(clip, get_layout(LAYOUT), 60)
    assert clip.video and clip.video.positions.tolist() == [2, 6, 10, 14]
    numbers = [image_number(decode_jpeg(file)) for file in clip.video.images]
    assert numbers == [6, 10, 14, 18]
    assert ((clip.video.joints >= 0) & (clip.video.joints <= 1)).all()
    assert clip.pixels is not None  # of the sensor's size: the video is a tenth of it
    box = clip.pixels[0].reshape(-1, 2) / 10
    side = np.ptp(box, axis=0).max() * 1.3
    spread = np.ptp(clip.pixels[0, 6] / 10, axis=0) / side
    np.testing.assert_allclose(np.ptp(clip.video.joints[0, 1], axis=0), spread, rtol=0.03)


def test_video_that_is_absent_or_too_short_leaves_the_skeleton(tmp_path: Path) -> None:
    skeletons, videos = write_with_video(tmp_path)
    other = write(Path(skeletons), clip_name(performer=2)).name
    recordings = Recordings(skeletons, videos=videos, video=CONFIG)
    assert recordings.clip(other).no_video == "not found"
    content = encode_video(numbered_images(10, 192, 108))
    Path(videos, f"{clip_name()}_rgb.avi").write_bytes(content)
    clip = recordings.clip(f"{clip_name()}.skeleton")
    assert clip.video is None and clip.no_video == "it shows 0.3 s, but its skeleton 0.7 s"
    check_clip(clip, get_layout(LAYOUT), 60)


def test_videos_of_other_clips_are_refused(tmp_path: Path) -> None:
    skeletons, videos = write_with_video(tmp_path)
    file = Path(videos, f"{clip_name()}_rgb.avi")
    file.rename(Path(videos, f"{clip_name(action=9)}_rgb.avi"))
    with pytest.raises(InputError, match=r"holds 1 videos, but of none of the 1 clips"):
        Recordings(skeletons, videos=videos)
    with pytest.raises(InputError, match=r"holds no NTU videos: expected files like"):
        Recordings(skeletons, videos=skeletons)


def test_fingerprint_follows_the_videos(tmp_path: Path) -> None:
    skeletons, videos = write_with_video(tmp_path)
    plain = Recordings(skeletons).fingerprint()
    filmed = Recordings(skeletons, videos=videos, video=CONFIG).fingerprint()
    assert plain.items() < filmed.items()
    assert filmed["video.frames"] == "4" and "videos" in filmed
