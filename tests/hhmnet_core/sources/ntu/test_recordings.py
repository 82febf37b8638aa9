"""NTU RGB+D: its facts against the published numbers, and files to clips."""

import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from ntu_files import File, Track, name, read_plainly, standing

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.ntu.recordings import LAYOUT, Recordings, edition, fields_of
from hhmnet_core.store.clips import check_clip


def person(frames: int = 20, seed: int = 0) -> File:
    return File(frames, [Track(0, standing(np.random.default_rng(seed), frames))])


def write(folder: Path, sample_id: str, file: File | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sample_id}.skeleton"
    path.write_text((file or person()).text())
    return path


@pytest.mark.parametrize(("number", "clips", "missing"), [(60, 56_578, 302), (120, 113_945, 535)])
def test_protocols_give_the_published_numbers_of_clips(
    number: Literal[60, 120], clips: int, missing: int
) -> None:
    facts = edition(number)
    assert len(facts.class_names) == number
    assert len(facts.missing) == missing
    usable = [fields_of(sample_id) for sample_id in facts.recorded - facts.missing]
    assert len(usable) == clips
    for protocol, rule in facts.protocols.items():
        counts = tuple(
            sum(all(clip[field] in values for field, values in part.items()) for clip in usable)
            for part in (rule.train, rule.test)
        )
        assert counts == facts.published[protocol]
        assert sum(counts) == clips


def test_clip_carries_the_facts_of_its_name(tmp_path: Path) -> None:
    sample_id = name(setup=5, camera=3, performer=10, replication=2, action=58)
    write(tmp_path / "deep" / "down", sample_id)
    recordings = Recordings(str(tmp_path))
    (clip,) = map(recordings.clip, recordings.names)
    assert (clip.sample_id, clip.label, clip.subject, clip.camera, clip.setup) == (
        sample_id, 57, 10, 3, 5,
    )  # fmt: skip
    assert recordings.edition.class_names[clip.label] == "shaking hands"
    check_clip(clip, get_layout(LAYOUT), 60)


def test_clip_is_the_centred_recording(tmp_path: Path) -> None:
    path = write(tmp_path, name())
    (clip,) = map(Recordings(str(tmp_path)).clip, [path.name])
    (rows,) = read_plainly(path.read_text()).values()
    values = np.array([numbers for _, numbers in rows]).astype(np.float32)
    np.testing.assert_array_equal(clip.joints[0], values[:, :, :3] - values[0, 1, :3])
    assert clip.pixels is not None
    np.testing.assert_array_equal(clip.pixels[0], values[:, :, 3:])
    assert not clip.dropped


def test_two_actors_a_lost_track_and_a_passer_by(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    file = File(
        40,
        [
            Track(2, 3 * standing(random, 18), 0),
            Track(2, standing(random, 38, 0.8), 1),
            Track(25, 3 * standing(random, 15), 2),
            Track(4, standing(random, 5), 3),
        ],
    )
    write(tmp_path, name(action=50), file)
    recordings = Recordings(str(tmp_path))
    clip = recordings.clip(recordings.names[0])
    assert clip.joints.shape == (2, 38, 25, 3)
    assert not clip.joints[0, 18:23].any() and clip.joints[0, 23:].any()
    assert clip.pixels is not None and np.isnan(clip.pixels[0, 18:23]).all()
    assert clip.dropped == {"frames without bodies": 2, "bodies seen in 11 frames or fewer": 1}


def test_aligned_clip_differs_and_fingerprint_says_so(tmp_path: Path) -> None:
    write(tmp_path, name())
    plain, aligned = Recordings(str(tmp_path)), Recordings(str(tmp_path), align=True)
    assert plain.fingerprint() != aligned.fingerprint()
    one, two = (r.clip(r.names[0]).joints for r in (plain, aligned))
    assert not np.allclose(one, two)
    np.testing.assert_allclose(np.linalg.norm(one, axis=3), np.linalg.norm(two, axis=3), atol=1e-5)


def test_folder_zip_and_zips_in_a_folder_give_the_same_clips(tmp_path: Path) -> None:
    names = [name(setup=s, performer=p) for s, p in ((1, 1), (1, 2), (18, 8))]
    names[2] = names[2].replace("A001", "A061")
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
        pickle.loads(pickle.dumps(Recordings(str(tmp_path / place))))
        for place in ("files", "all.zip", "zips")
    ]
    assert first.number == 120
    for other in others:
        assert list(map(other.sample_id, other.names)) == names
        for one, two in zip(first.names, other.names, strict=True):
            np.testing.assert_array_equal(first.clip(one).joints, other.clip(two).joints)


def test_missing_and_foreign_files_are_named_not_read(tmp_path: Path) -> None:
    write(tmp_path, name())
    for sample_id in ("S001C002P005R002A008", name(action=99)):
        (tmp_path / f"{sample_id}.skeleton").write_text("spoilt")
    recordings = Recordings(str(tmp_path), 60)
    assert list(recordings.names) == [f"{name()}.skeleton"]
    absent = recordings.absent()
    assert Counter(absent.values()) == {
        "not found": 56_578 - 1,
        "published as missing": 302,
        "not of NTU RGB+D 60": 1,
    }
    assert name() not in absent
    assert absent["S001C002P005R002A008"] == "published as missing"


def test_same_files_elsewhere_are_the_same_source(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write(tmp_path / place, name())
    here, there = (Recordings(str(tmp_path / place)).fingerprint() for place in ("here", "there"))
    assert here == there
    write(tmp_path / "there", name(), person(21))
    assert Recordings(str(tmp_path / "there")).fingerprint() != here


def test_wrong_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing at .*nowhere"):
        Recordings(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"holds no NTU skeletons.*S001C001P001R001A001.skeleton"):
        Recordings(str(tmp_path))
    write(tmp_path, name(action=99))
    with pytest.raises(InputError, match=r"holds 1 \.skeleton files, but none that NTU RGB\+D 60"):
        Recordings(str(tmp_path), 60)
    write(tmp_path / "a", name())
    write(tmp_path / "b", name())
    with pytest.raises(InputError, match=rf"holds {name()} twice, as a/.* and as b/"):
        Recordings(str(tmp_path))


def test_spoilt_files_are_named(tmp_path: Path) -> None:
    nobody = File(5)
    lost = person()
    lost.tracks[0].joints[:, 3] = np.nan
    for number, (file, said) in enumerate(
        ((nobody, "shows no body"), (lost, "shows no body")), start=1
    ):
        write(tmp_path, name(action=number), file)
        recordings = Recordings(str(tmp_path))
        with pytest.raises(InputError, match=rf"^{recordings.names[-1]} in {tmp_path} {said}"):
            recordings.clip(recordings.names[-1])


def test_joint_out_of_the_colour_cameras_sight_has_no_pixels(tmp_path: Path) -> None:
    path = write(tmp_path, name())
    lines = path.read_text().split("\n")
    fields = lines[4].split(" ")
    lines[4] = " ".join([*fields[:5], "-1.#INF", "9e99", *fields[7:]])
    path.write_text("\n".join(lines))
    recordings = Recordings(str(tmp_path))
    (clip,) = map(recordings.clip, recordings.names)
    assert clip.pixels is not None
    assert np.isnan(clip.pixels[0, 0, 0]).all() and np.isfinite(clip.pixels[0, 0, 1:]).all()
    check_clip(clip, get_layout(LAYOUT), 60)
    assert not clip.dropped


def test_recording_whose_poses_are_no_numbers_is_named(tmp_path: Path) -> None:
    text = File(20, [Track(0, np.full((20, 25, 3), np.nan))]).text()
    (tmp_path / f"{name()}.skeleton").write_text(text)
    with pytest.raises(InputError, match="shows no body whose joints all are numbers"):
        Recordings(str(tmp_path)).clip(f"{name()}.skeleton")
