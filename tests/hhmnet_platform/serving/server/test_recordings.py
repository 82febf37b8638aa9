"""Uploaded files as recordings: windows, drawings, limits and messages."""

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bit_videos import encode_bits
from person_videos import encode, moving, scene

from hhmnet_core.deploy.description import ModelDescription, NetworkDescription
from hhmnet_core.deploy.folders import read_description
from hhmnet_core.errors import InputError
from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.poses.rtmlib import RtmlibConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Visual
from hhmnet_platform.serving.server.answers import Answers
from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.recordings import RecordingReader
from hhmnet_platform.serving.server.refusals import RefusalError
from hhmnet_platform.serving.server.requests import Upload
from hhmnet_platform.serving.server.timed import Clock, OutOfTimeError

FRAMES = 200


@pytest.fixture(scope="module")
def description(model: str) -> ModelDescription:
    return read_description(model)


@pytest.fixture(scope="module")
def reader(description: ModelDescription) -> RecordingReader:
    return RecordingReader(description, BlazePoseConfig(), 2, FRAMES)


def upload(array: np.ndarray, name: str = "a.npy") -> Upload:
    file = io.BytesIO()
    np.save(file, array)
    return Upload(name, file.getvalue())


def test_a_skeleton_file_is_one_clip(reader: RecordingReader, clips: ClipSet) -> None:
    joints = clips.clip(2).joints
    read = reader.read(upload(joints), Parameters(), Clock())
    assert (read.name, read.frames, read.fps, read.first) == ("a.npy", joints.shape[1], None, 0)
    assert read.windows == ((0, joints.shape[1]),) and read.drawing is None
    np.testing.assert_array_equal(read.clips[0].joints, joints)


def test_windows_and_a_drawing(
    reader: RecordingReader, clips: ClipSet, description: ModelDescription
) -> None:
    joints = np.concatenate([clips.clip(n).joints[0] for n in range(4)])
    parameters = Parameters(window="1s", stride="0.5s", fps=20.0, skeleton=True)
    read = reader.read(upload(joints), parameters, Clock())
    assert [len(clip.joints[0]) for clip in read.clips] == [20] * len(read.windows)
    for clip, (start, stop) in zip(read.clips, read.windows, strict=True):
        np.testing.assert_array_equal(clip.joints[0], joints[start:stop])
    drawing = read.drawing
    assert drawing is not None and drawing.seconds is not None
    np.testing.assert_allclose(drawing.seconds, np.arange(len(joints)) / 20)
    assert drawing.pixels.min() >= 0 and drawing.pixels[..., 0].max() <= drawing.width
    rows = np.random.default_rng(1).dirichlet(np.ones(3), len(read.windows))
    answer = Answers(description).recording(read, rows, has_timeline=True)
    assert answer["unit"] == "seconds" and answer["timeline"][0]["start"] == 0
    assert answer["timeline"][-1]["stop"] == len(joints) / 20
    drawn = np.array(answer["skeleton"]["bodies"], float).reshape(drawing.pixels.shape)
    np.testing.assert_allclose(drawn, drawing.pixels, atol=0.051)


def test_times_count_from_the_start_of_the_file(
    reader: RecordingReader, clips: ClipSet, description: ModelDescription
) -> None:
    joints = clips.clip(0).joints[0]
    late = np.concatenate([np.zeros((10, *joints.shape[1:]), np.float32), joints])
    parameters = Parameters(window="1s", fps=20.0, skeleton=True)
    read = reader.read(upload(late), parameters, Clock())
    assert read.first == 10 and read.frames == len(joints)
    assert read.drawing is not None and read.drawing.seconds is not None
    np.testing.assert_allclose(read.drawing.seconds, (10 + np.arange(len(joints))) / 20)
    rows = np.random.default_rng(1).dirichlet(np.ones(3), len(read.windows))
    timeline = Answers(description).recording(read, rows, has_timeline=True)["timeline"]
    assert timeline[0]["start"] == 0.5 and timeline[-1]["stop"] == len(late) / 20


def test_times_are_frames_where_the_rate_is_unknown(
    reader: RecordingReader, clips: ClipSet, description: ModelDescription
) -> None:
    joints = clips.clip(2).joints
    read = reader.read(upload(joints), Parameters(window="9f", skeleton=True), Clock())
    assert read.drawing is not None and read.drawing.seconds is None
    rows = np.full((len(read.windows), 3), 1 / 3)
    answer = Answers(description).recording(read, rows, has_timeline=True)
    assert answer["unit"] == "frames" and answer["timeline"][-1]["stop"] == joints.shape[1]


def test_unknown_positions_are_null(
    reader: RecordingReader, clips: ClipSet, description: ModelDescription
) -> None:
    read = reader.read(upload(clips.clip(2).joints), Parameters(skeleton=True), Clock())
    assert read.drawing is not None
    pixels = read.drawing.pixels.copy()
    pixels[0, 1, 2] = np.nan
    read = replace(read, drawing=replace(read.drawing, pixels=pixels))
    answer = Answers(description).recording(read, np.full((1, 3), 1 / 3), has_timeline=False)
    frame = answer["skeleton"]["bodies"][0][1]
    assert frame[4:6] == [None, None] and None not in frame[:4] + frame[6:]


@pytest.mark.parametrize(
    ("given", "parameters", "message"),
    [
        (upload(np.ones((FRAMES + 1, 20, 3))), {}, "a.npy has 201 frames, the limit of"),
        (upload(np.ones((9, 17, 3))), {}, "a.npy"),
        (upload(np.zeros((9, 20, 3))), {}, "a.npy shows nobody"),
        (upload(np.ones((9, 20, 3))), {"window": "2s"}, "the frame rate of the skeletons"),
        (upload(np.ones((9, 20, 3))), {"window": "4f", "stride": "5f"}, "stride of 5"),
        (upload(np.ones((9, 17, 2))), {"layout": "coco_17"}, "There is no map from layout coco_17"),
        (Upload("a.npy", b"text"), {}, "a.npy cannot be read"),
        (Upload("a.npz", b"PK\x03\x04"), {}, "a.npz cannot be read"),
        (Upload("a.json", b"{}"), {}, "a.json"),
        (Upload("a.skeleton", b"text"), {}, "a.skeleton"),
        (Upload("a.mp4", b"text"), {}, "a.mp4 cannot be used: it cannot be decoded"),
        (Upload("a.mp4", encode_bits(FRAMES + 1)), {}, "a.mp4 has 201 frames"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_named_without_a_folder(
    given: Upload, parameters: dict[str, str], message: str, reader: RecordingReader
) -> None:
    with pytest.raises(InputError) as caught:
        reader.read(given, Parameters(**parameters), Clock())  # type: ignore[arg-type]
    assert message in str(caught.value) and "/tmp" not in str(caught.value)


def test_no_file_is_left_behind(
    reader: RecordingReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reader.read(upload(np.random.default_rng(1).normal(size=(9, 20, 3))), Parameters(), Clock())
    with pytest.raises(InputError):
        reader.read(Upload("a.npy", b"text"), Parameters(), Clock())
    assert list(tmp_path.iterdir()) == []


def test_an_array_that_expands_is_not_read(reader: RecordingReader) -> None:
    file = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 20, 3)}
    np.lib.format.write_array_header_1_0(file, shape)
    with pytest.raises(RefusalError, match="once they are read"):
        reader.read(Upload("a.npy", file.getvalue()), Parameters(), Clock())


@pytest.mark.parametrize(
    ("frames", "window", "message"),
    [(1500, "10f", "1491 windows of 14910 frames"), (1200, "400f", "801 windows of 320400 frames")],
)
def test_too_many_windows(
    frames: int, window: str, message: str, description: ModelDescription
) -> None:
    reader = RecordingReader(description, BlazePoseConfig(), 2, 5000)
    joints = np.random.default_rng(1).normal(size=(frames, 20, 3)).astype(np.float32)
    with pytest.raises(InputError, match=message):
        reader.read(upload(joints), Parameters(window=window, stride="1f"), Clock())


def test_windows_are_refused_for_a_model_that_reads_videos(description: ModelDescription) -> None:
    video = NetworkDescription(
        "video", "video", "made", {}, guide="joint", visual=Visual("rgb", 8, 32)
    )
    with_video = replace(description, networks=(*description.networks, video))
    reader = RecordingReader(with_video, BlazePoseConfig(), 2, FRAMES)
    given = upload(np.random.default_rng(1).normal(size=(9, 20, 3)))
    with pytest.raises(InputError, match="reads whole clips, no windows"):
        reader.read(given, Parameters(window="4f"), Clock())
    with pytest.raises(InputError, match=r"a\.npy is a skeleton, but the model made reads videos"):
        reader.read(given, Parameters(), Clock())


def test_skeletons_need_no_estimator_that_fits(description: ModelDescription) -> None:
    """A layout of its own, to which no estimator has a map."""
    fields = {
        "name": "stick", "channels": 2,
        "joints": ["a", "b", "c"], "bones": [["b", "a"], ["c", "b"]],
        "parts": {"head": ["a"], "torso": ["b", "c"]}, "centre": "a",
    }  # fmt: skip
    own = replace(description, layout="stick", own_layout=fields)
    reader = RecordingReader(own, RtmlibConfig(), 2, FRAMES)
    joints = np.random.default_rng(1).normal(size=(9, 3, 2))
    assert reader.read(upload(joints), Parameters(), Clock()).frames == 9
    with pytest.raises(InputError, match=r"There is no map|Unknown skeleton layout"):
        reader.read(Upload("a.mp4", encode_bits(9)), Parameters(), Clock())


def test_a_video_has_its_skeletons_at_the_times_of_its_images(
    reader: RecordingReader, pose_models: None
) -> None:
    content = encode(moving(12), rate=25)
    read = reader.read(Upload("a.mp4", content), Parameters(skeleton=True), Clock())
    assert read.fps == pytest.approx(25) and read.drawing is not None
    assert (read.drawing.width, read.drawing.height) == (480, 360)
    assert read.drawing.seconds is not None
    np.testing.assert_allclose(
        read.drawing.seconds, np.arange(read.first, read.first + read.frames) / 25
    )
    head = read.drawing.pixels[0, :, 3]  # it moves to the right with the picture
    assert head[-1, 0] - head[0, 0] > 20
    with pytest.raises(OutOfTimeError):
        reader.read(Upload("a.mp4", content), Parameters(), Clock(time.monotonic() - 1))
    # Its times count from the start of the video, whenever the person appears.
    late = encode([scene()] * 5 + moving(12), rate=25)
    read = reader.read(Upload("a.mp4", late), Parameters(skeleton=True), Clock())
    assert read.first == 5 and read.drawing is not None and read.drawing.seconds is not None
    assert read.drawing.seconds[0] == pytest.approx(0.2)


def test_a_video_of_nobody(reader: RecordingReader, pose_models: None) -> None:
    with pytest.raises(InputError, match=r"a\.mp4 shows nobody"):
        reader.read(Upload("a.mp4", encode_bits(6)), Parameters(), Clock())
