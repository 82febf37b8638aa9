"""Annotation files of PYSKL and MMAction2: one pickle of clips with their skeletons and splits.

A file holds `annotations`, a list with `frame_dir` (the clip's name), `label`, `total_frames`,
`keypoint` (M, T, V, C) and, for poses in images, `keypoint_score` (M, T, V); and `split`, names of
clips by split, such as `xsub_train` and `xsub_val`. The pickle is read without running any of what
it names. See the documentation of PYSKL, tools/data/README.md.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from hhmnet_core.checks.memory import check_free_memory
from hhmnet_core.checks.pickles import load_pickle
from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.skeleton.axes import MAX_BODIES
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout
from hhmnet_core.skeleton.missing import OnMissing, complete, known_joints
from hhmnet_core.sources.ntu.editions import parse_sample_id
from hhmnet_core.sources.numbered_classes import NUMBERED_NOTE, name_classes
from hhmnet_core.sources.split_codes import Membership, drawn_val_note, encode_splits
from hhmnet_core.store.clips import Clip, check_clip

_TRAIN, _TESTS = "train", ("val", "test")  # without the last one, val is what is tested on
_EXPECTED = "expected an annotation file of PYSKL: a dictionary with annotations and split"


class Recordings:
    """The clips of an annotation file.

    Args:
        source: URI of the pickle.
        layout: Layout of the skeletons. None: the built-in one with as many joints and coordinates.
        classes: Labels in order. Empty: their numbers.
        missing: Treatment of joints that are missing while their body is present.
        min_confidence: Smallest `keypoint_score` of a known joint.
        seed: Seed of the draw of val, where names of clips give no subjects.

    Attributes:
        names: Sorted names of the clips.
        layout: Layout of the skeletons.
        class_names: Labels, in the order of their indices.
        protocols: One for each pair of splits for training and test.
        notes: Remarks for the user.

    Raises:
        InputError: No file, no such pickle, clips without what they need, or no splits.
    """

    def __init__(
        self,
        source: str,
        layout: Layout | None = None,
        classes: Sequence[str] = (),
        missing: OnMissing = "hold",
        min_confidence: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.source, self.missing, self.min_confidence = source, missing, min_confidence
        folder, name = split_uri(source)
        try:
            check_free_memory(2 * (folder.size(name) or 0), source)
            content = folder.read(name)
        except FileNotFoundError as error:
            raise InputError(f"There is no file at {source}: {_EXPECTED}.") from error
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._seed = seed
        annotations = load_pickle(content, source)
        self._clips = _index(annotations, source)
        self.layout = layout or _guess_layout(next(iter(self._clips.values())), source)
        self.names = sorted(self._clips)
        labels = {each: self._clips[each]["label"] for each in self.names}
        self.class_names = name_classes(labels.values(), classes, source)
        self._people = {each: _person(each) for each in self.names}
        has_subjects = None not in self._people.values()
        splits = _parse_splits(annotations, labels.keys(), source)
        self._setup_of, self.protocols = encode_splits(
            labels, splits, None if has_subjects else seed
        )
        self.notes = (
            *([] if has_subjects else [drawn_val_note(seed)]),
            *([] if classes else [NUMBERED_NOTE]),
            *_split_notes(annotations["split"], labels.keys()),
        )

    @property
    def dataset(self) -> str:
        """Name of the data set, from that of the file."""
        return PurePosixPath(self.source).stem

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source."""
        return {
            "reader": "pyskl/1",
            "layout": self.layout.name,
            "sha256": self._sha256,
            "classes": "\n".join(self.class_names),
            "missing": self.missing,
            "min_confidence": str(self.min_confidence),
            "seed": str(self._seed),
        }

    def clip(self, name: str) -> Clip:
        """Return a clip. Raises InputError, naming it, where its skeleton cannot be used."""
        fields, where = self._clips[name], f"{name} in {self.source}"
        joints = _numbers(fields.get("keypoint"), "keypoint", 4, where)
        score = fields.get("keypoint_score")
        confidence = None
        if score is not None:
            confidence = _numbers(score, "keypoint_score", 3, where)
            if confidence.shape != joints.shape[:3]:
                raise InputError(
                    f"{where} has keypoint_score of shape {confidence.shape}, expected "
                    f"{joints.shape[:3]}."
                )
        if joints.shape[2:] != (self.layout.num_joints, self.layout.channels):
            raise InputError(
                f"{where} has keypoint of shape {joints.shape}, expected (bodies, frames, "
                f"{self.layout.num_joints}, {self.layout.channels}) of layout {self.layout.name}."
            )
        total = fields.get("total_frames", joints.shape[1])
        if not isinstance(total, (int, np.integer)) or total != joints.shape[1]:
            raise InputError(
                f"{where} has total_frames {str(total)[:40]}, but keypoint has "
                f"{joints.shape[1]} frames."
            )
        if "total_frames" not in fields and joints.shape[0] > min(joints.shape[1], MAX_BODIES):
            raise InputError(
                f"{where} has no total_frames, and keypoint of shape {joints.shape} would be "
                f"{joints.shape[0]} bodies in {joints.shape[1]} frames: it looks like (frames, "
                "bodies, joints, channels). Bring it into the order (bodies, frames, joints, "
                "channels), or give total_frames."
            )
        known = known_joints(joints, frozenset(), confidence, self.min_confidence)
        done = complete(joints, known, self.layout, self.missing, where)
        person = self._people[name]
        clip = Clip(
            sample_id=name,
            label=fields["label"],
            subject=person[0] if person else 0,
            camera=person[1] if person else 1,
            setup=self._setup_of[name],
            joints=done.joints,
            missing=done.missing if done.missing.any() else None,
            dropped=done.counts,
        )
        check_clip(clip, self.layout, len(self.class_names))
        return clip


def _index(value: Any, source: str) -> dict[str, dict[str, Any]]:
    """Return the annotations by name, with checked labels."""
    clips = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(clips, list) or not clips:
        raise InputError(f"{source} has no list of annotations: {_EXPECTED}.")
    index: dict[str, dict[str, Any]] = {}
    for number, fields in enumerate(clips):
        where = f"{source}, annotation {number}"
        if not isinstance(fields, dict) or not {"frame_dir", "label", "keypoint"} <= fields.keys():
            raise InputError(f"{where} lacks frame_dir, label or keypoint: {_EXPECTED}.")
        name, label = fields["frame_dir"], fields["label"]
        if not isinstance(name, str):
            raise InputError(f"{where} has a frame_dir of type {type(name).__name__}, not text.")
        if name in index:
            raise InputError(f"{where}: {name} occurs twice.")
        if not isinstance(label, (int, np.integer)) or label < 0:
            raise InputError(f"{where} has the label {str(label)[:40]}, expected a whole number.")
        index[name] = fields | {"label": int(label)}
    return index


def _parse_splits(value: Any, names: Set[str], source: str) -> dict[str, Membership]:
    """Return the protocols of a file: pairs of splits whose names differ by train and val."""
    splits = value.get("split")
    if not isinstance(splits, Mapping) or not all(isinstance(s, list) for s in splits.values()):
        raise InputError(f"{source} has no split, lists of clips by name: {_EXPECTED}.")
    listed = {str(split): frozenset(map(str, clips)) for split, clips in splits.items()}
    protocols = {}
    for split, train in listed.items():
        stem = split.removesuffix(_TRAIN)
        tests = [listed[stem + test] for test in _TESTS if stem + test in listed]
        if stem != split and tests:
            *val, test = tests
            held_out = val[0] & names if val else frozenset()
            protocols[stem.strip("_-") or "given"] = Membership(
                (train & names) - held_out, test & names, held_out
            )
            if both := sorted(train & test):
                raise InputError(f"{source}: {both[0]} is both in {split} and in a split for test.")
            for kind, clips in ((split, train), ("the split for test", test)):
                if not clips & names:
                    raise InputError(
                        f"{source} has none of the {len(clips)} clips of {kind}: the names in "
                        "split are not those of the annotations."
                    )
    if not protocols:
        raise InputError(
            f"{source} has the splits {', '.join(listed)[:200]}, expected pairs such as xsub_train "
            "and xsub_val."
        )
    return protocols


def _split_notes(splits: Mapping[str, list[Any]], names: Set[str]) -> tuple[str, ...]:
    """Return notes on clips that are in splits alone, and on those that are in none."""
    listed = {str(clip) for clips in splits.values() for clip in clips}
    found = (
        (len(listed - names), "clips of the splits have no annotation"),
        (len(names - listed), "clips are in no split: no protocol uses them"),
    )
    return tuple(f"{count} {what}" for count, what in found if count)


def _guess_layout(fields: dict[str, Any], source: str) -> Layout:
    keypoint = _numbers(fields["keypoint"], "keypoint", 4, source)
    joints, channels = keypoint.shape[2:]
    fitting = [
        layout
        for layout in LAYOUTS.values()
        if (layout.num_joints, layout.channels) == (joints, channels)
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(layout.name for layout in fitting) or "no built-in layout"
    raise InputError(
        f"{source} has keypoint of {joints} joints and {channels} coordinates, as {names}: give "
        "--layout."
    )


def _person(name: str) -> tuple[int, int] | None:
    """Return subject and camera of a clip of NTU RGB+D, from its name. None for other names."""
    try:
        sample = parse_sample_id(name)
    except InputError:
        return None
    return sample.subject, sample.camera


def _numbers(value: Any, what: str, axes: int, where: str) -> Any:
    if not isinstance(value, np.ndarray) or value.ndim != axes or value.dtype.kind not in "fiu":
        shown = getattr(value, "shape", type(value).__name__)
        raise InputError(f"{where} has {what} {shown}, expected an array of {axes} axes.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
        numbers = np.ascontiguousarray(np.asarray(value), dtype=np.float32)
    if np.isinf(numbers).any():
        raise InputError(f"{where} has an infinite number in {what}.")
    return numbers
