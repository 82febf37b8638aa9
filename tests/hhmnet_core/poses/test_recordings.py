"""Videos and a table of labels become clips, with an estimator whose people are known."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from drawn_people import LAYOUT, crowd, person
from person_videos import sound
from video_files import decode_jpeg, encode_video, image_number, numbered_images

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.poses.contract import Estimator, People
from hhmnet_core.poses.recordings import Recordings
from hhmnet_core.poses.rtmlib import RtmlibConfig
from hhmnet_core.skeleton.layout_maps import map_joints
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image

HEAD = "sample_id,label,subject,video"
WIDTH, HEIGHT, COUNT = 320, 240, 24
EMPTY = 4  # images before the person comes in


@dataclass(frozen=True)
class KnownPeople:
    """People who move with the number that each image shows; none in the first images."""

    layout: Layout = LAYOUT
    is_broken: bool = False
    advice: str = "try harder"

    def fingerprint(self) -> dict[str, str]:
        return {"estimator": "known"}

    def open(self, threads: int = 1) -> Estimator:
        if self.is_broken:
            raise InputError("There is no model.")
        return _Known(self.layout)


class _Known:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def reset(self) -> None:
        pass

    def estimate(self, image: Image) -> People:
        number = image_number(image)
        return crowd(person(80 + 2 * number)) if EMPTY <= number < 90 else crowd()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = numbered_images(COUNT, WIDTH, HEIGHT)
    (tmp_path / "a.avi").write_bytes(encode_video(images))
    (tmp_path / "nobody.avi").write_bytes(encode_video(images[:EMPTY]))
    (tmp_path / "one.avi").write_bytes(encode_video(images[10:11]))
    (tmp_path / "cut.avi").write_bytes(encode_video(images)[:9000])
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "sound.mp4").write_bytes(sound())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    return tmp_path


def table(folder: Path, *rows: str, head: str = HEAD) -> str:
    path = folder / "labels.csv"
    path.write_text("\n".join((head, *rows)) + "\n")
    return str(path)


def recordings(folder: Path, *rows: str, **options: object) -> Recordings:
    estimator = options.pop("estimator", KnownPeople())
    labels = table(folder, *(rows or ("a,wave,1,a.avi", "b,clap,2,a.avi")))
    return Recordings(str(folder), labels, estimator, **options)  # type: ignore[arg-type]


def test_clip_has_skeleton_pixels_and_images(folder: Path) -> None:
    clip = recordings(folder, video=VideoConfig(frames=4, size=32)).clip("a")
    assert (clip.label, clip.subject, clip.camera) == (1, 1, 1)
    length = COUNT - EMPTY
    assert clip.joints.shape == (1, length, 33, 3) and clip.pixels is not None
    expected = [person(80 + 2 * number).pixels for number in range(EMPTY, COUNT)]
    np.testing.assert_allclose(clip.pixels[0], np.concatenate(expected), atol=1e-3)
    assert clip.dropped == {"frames of padding": EMPTY}
    assert clip.video is not None and len(clip.video.images) == 4
    numbers = [image_number(decode_jpeg(image)) for image in clip.video.images]
    assert numbers == [EMPTY + position for position in clip.video.positions]
    inside = (clip.video.joints > 0) & (clip.video.joints < 1)
    assert inside.all()
    middles = clip.video.joints[0].mean(1)[:, 0]
    steps = np.diff(clip.video.positions)
    np.testing.assert_allclose(np.diff(middles) / steps, np.diff(middles)[0] / steps[0], rtol=0.01)


def test_metres_follow_the_person_through_the_room(folder: Path) -> None:
    """The person moves by 2 pixels an image: to the right in metres, at an even distance."""
    joints = recordings(folder).clip("a").joints[0]
    steps = np.diff(joints.mean(1), axis=0)
    assert (steps[:, 0] > 0).all() and abs(steps[:, 1:]).max() < 1e-3
    twice = recordings(folder, focal=640.0).clip("a").joints[0]
    assert twice[..., 2].mean() > 1.5 * joints[..., 2].mean()


@pytest.mark.parametrize("layout", ["coco_17", "kinect_v1_20", "kinect_v2_25"])
def test_clips_of_other_layouts_are_mapped(folder: Path, layout: str) -> None:
    own = recordings(folder).clip("a")
    clip = recordings(folder, layout=layout).clip("a")
    assert own.pixels is not None
    if layout == "coco_17":
        expected = map_joints(own.pixels, "blazepose_33", layout)
        assert clip.pixels is None
    else:
        expected = map_joints(own.joints, "blazepose_33", layout)
        assert clip.pixels is not None and clip.pixels.shape[2] == expected.shape[2]
    np.testing.assert_allclose(clip.joints, expected, atol=1e-4)


REFUSED: dict[str, tuple[str, str]] = {
    "nobody": ("nobody.avi", "shows nobody: no person was found in its 4 images; try harder."),
    "cut": ("cut.avi", "cannot be used: it"),
    "text": ("text.mp4", "cannot be decoded"),
    "sound": ("sound.mp4", "it holds no video stream"),
    "empty": ("empty.mp4", "cannot be decoded"),
    "absent": ("no.mp4", "there is no such file in"),
    "folder": ("folder.mp4", "folder.mp4"),
    "address": ("nobody://there/x.mp4", "nobody"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_videos_that_cannot_be_used_are_named(folder: Path, kind: str) -> None:
    file, reason = REFUSED[kind]
    made = recordings(folder, f"{kind},wave,1,{file}", "b,clap,2,a.avi")
    assert made.fingerprint()
    with pytest.raises(InputError) as caught:
        made.clip(kind)
    assert not isinstance(caught.value, AccessError)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_one_image_is_a_clip(folder: Path) -> None:
    config = VideoConfig(frames=2, size=16)
    clip = recordings(folder, "a,wave,1,one.avi", "b,clap,2,a.avi", video=config).clip("a")
    # Image 10 is the first one of this video, so its grey level alone says where the person is.
    assert clip.joints.shape[:2] == (1, 1) and clip.video is not None


def test_people_of_low_confidence_are_filled_or_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(self: _Known, image: Image) -> People:
        people = person(80 + 2 * image_number(image))
        people.confidence[0, 5] = 0.01 if image_number(image) % 3 else 0.9
        return people

    monkeypatch.setattr(_Known, "estimate", unsure)
    clip = recordings(folder).clip("a")
    assert clip.missing is not None and clip.missing[0, :, 5].mean() > 0.5
    assert not np.delete(clip.missing, 5, axis=2).any()
    assert clip.pixels is not None and np.isnan(clip.pixels[0, 1, 5]).all()
    with pytest.raises(InputError, match=r"a\.avi of a: .* are missing"):
        recordings(folder, missing="refuse").clip("a")
    assert recordings(folder, min_confidence=0.0).clip("a").missing is None


def test_recordings_can_be_sent_to_another_process(folder: Path) -> None:
    made = recordings(folder)
    first = made.clip("a")
    again = pickle.loads(pickle.dumps(made)).clip("a")
    np.testing.assert_array_equal(first.joints, again.joints)


def test_a_missing_model_is_no_fault_of_the_video(folder: Path) -> None:
    with pytest.raises(AccessError, match="There is no model"):
        recordings(folder, estimator=KnownPeople(is_broken=True)).clip("a")


CHANGES: dict[str, Callable[[Path], Recordings]] = {
    "a table": lambda at: recordings(at, "a,wave,1,a.avi", "c,clap,2,a.avi"),
    "bodies": lambda at: recordings(at, max_bodies=1),
    "layout": lambda at: recordings(at, layout="kinect_v1_20"),
    "missing": lambda at: recordings(at, missing="hold"),
    "confidence": lambda at: recordings(at, min_confidence=0.5),
    "focal": lambda at: recordings(at, focal=100.0),
    "video": lambda at: recordings(at, video=VideoConfig()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_a_store_is_in_the_fingerprint(folder: Path, change: str) -> None:
    before = recordings(folder).fingerprint()
    assert before == recordings(folder).fingerprint() and before["estimator"] == "known"
    assert CHANGES[change](folder).fingerprint() != before


def test_another_file_of_the_same_name_changes_the_fingerprint(folder: Path) -> None:
    before = recordings(folder).fingerprint()
    (folder / "a.avi").write_bytes(b"shorter")
    assert recordings(folder).fingerprint() != before


def test_tables_and_settings_that_cannot_be_used_are_named(folder: Path) -> None:
    labels = table(folder, head="a,wave,1,a.avi")
    with pytest.raises(InputError, match="has no column sample_id, label, subject, video"):
        Recordings(str(folder), labels, KnownPeople())
    with pytest.raises(InputError, match=r"nothing at .*none: expected a folder of videos"):
        Recordings(str(folder / "none"), table(folder, "a,w,1,a.avi", "b,c,2,b.avi"), KnownPeople())
    elsewhere = table(folder, f"a,w,1,{folder}/a.avi", f"b,c,2,{folder}/a.avi")
    assert Recordings(str(folder / "none"), elsewhere, KnownPeople()).clip("a").pixels is not None
    with pytest.raises(InputError, match=r"line 2: no video"):
        recordings(folder, "a,wave,1,", "b,clap,2,a.avi")
    with pytest.raises(InputError, match=r"no table at .*none\.csv"):
        Recordings(str(folder), str(folder / "none.csv"), KnownPeople())
    with pytest.raises(InputError, match="no map from layout coco_17 to kinect_v2_25"):
        recordings(folder, estimator=RtmlibConfig(), layout="kinect_v2_25")
    for options, message in (
        ({"focal": float("nan")}, "focal must be above 0"),
        ({"min_confidence": 1.5}, "min_confidence must be 0 to 1"),
        ({"max_bodies": 33}, "max_bodies must be 1 to 32"),
    ):
        with pytest.raises(InputError, match=message):
            recordings(folder, **options)
