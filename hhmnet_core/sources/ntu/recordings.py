"""NTU RGB+D 60 and 120 (Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019), the skeletons.

Reads the published `SsssCcccPpppRrrrAaaa.skeleton` files (set-up, camera, performer, replication,
action) and cleans them as the field does. What was recorded, which skeletons the authors list as
missing, and the protocols are data: `editions.json`, beside this module.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive
from hhmnet_core.sources.ntu.cleaning import (
    align_view,
    assign_actors,
    centre_on_first_spine,
    drop_broken_poses,
    drop_frames_without_bodies,
    drop_short_bodies,
    drop_spread_bodies,
    order_by_motion,
)
from hhmnet_core.sources.ntu.skeleton_file import parse_skeleton
from hhmnet_core.sources.video_crops import Timing, VideoConfig
from hhmnet_core.sources.video_files import Videos
from hhmnet_core.store.clips import Clip, Float32Array
from hhmnet_core.store.manifest import Protocol

LAYOUT = "kinect_v2_25"
_NAME = re.compile(r"(?:.*/)?(S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3}))\.skeleton")
_CLIP = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_VIDEO = re.compile(r"(?:.*/)?(S\d{3}C\d{3}P\d{3}R\d{3}A\d{3})(?:_rgb)?\.(?i:avi|mp4)")
FRAMES_A_SECOND = 30.0
WIDTH, HEIGHT = 1920, 1080


@dataclass(frozen=True)
class Edition:
    """NTU RGB+D 60 or 120.

    Attributes:
        dataset: Its name in stores.
        class_names: One for each action.
        protocols: The papers'.
        published: For each protocol, how many clips the literature trains and tests on.
        recorded: The names of all clips that were recorded.
        missing: Those of them whose skeleton the authors list as missing or incomplete.
    """

    dataset: str
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    published: Mapping[str, tuple[int, int]]
    recorded: frozenset[str]
    missing: frozenset[str]


@cache
def edition(number: Literal[60, 120]) -> Edition:
    """The facts of NTU RGB+D 60 or 120."""
    facts = _facts()
    own = facts["editions"][str(number)]
    # The set-ups of the sixty recorded their actions, the later ones the other sixty.
    actions_60, actions_120 = (facts["editions"][n]["actions"] for n in ("60", "120"))
    recorded = frozenset(
        f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"
        for setup, performers in enumerate(
            facts["recorded"]["performers_of_setup"].values(), start=1
        )
        if setup <= own["last_setup"]
        for performer in performers
        for camera in facts["recorded"]["cameras"]
        for replication in facts["recorded"]["replications"]
        for action in (
            range(1, actions_60 + 1)
            if setup <= _last_setup_of_60()
            else range(actions_60 + 1, actions_120 + 1)
        )
    )
    return Edition(
        dataset=f"ntu{number}",
        class_names=tuple(facts["class_names"][: own["actions"]]),
        protocols={name: Protocol(**rule) for name, rule in own["protocols"].items()},
        published={name: (train, test) for name, (train, test) in own["published"].items()},
        recorded=recorded,
        missing=recorded & frozenset(facts["missing_skeletons"]),
    )


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(
        files("hhmnet_core.sources.ntu").joinpath("editions.json").read_text("utf-8")
    )
    return facts


def _last_setup_of_60() -> int:
    last: int = _facts()["editions"]["60"]["last_setup"]
    return last


def fields_of(sample_id: str) -> dict[str, int]:
    """What a clip's name says: setup, camera, subject (the performer), replication, action."""
    found = _CLIP.fullmatch(sample_id)
    if not found:
        raise InputError(f"{sample_id} is no NTU clip: expected a name like S001C001P001R001A001.")
    names = ("setup", "camera", "subject", "replication", "action")
    return dict(zip(names, map(int, found.groups()), strict=True))


class Recordings:
    """The `.skeleton` files of a folder, a zip, or the zips of a folder. Travels to processes.

    Args:
        source: Their URI.
        number: 60 or 120; None: 120 where a file is of a set-up that 60 does not have.
        align: Whether each clip is turned upright and to the front by its first pose.
        videos: URI of the colour videos, `SsssCcccPpppRrrrAaaa_rgb.avi`; "": none are kept.
        video: What is kept of them.

    Attributes:
        edition: The facts of the edition.
        names: The files that become clips, sorted: those of the edition, without the missing.

    Raises:
        InputError: No such place, a damaged zip, no such files, none of the edition, or two files
            of one clip.
    """

    def __init__(
        self,
        source: str,
        number: Literal[60, 120] | None = None,
        align: bool = False,
        videos: str = "",
        video: VideoConfig | None = None,
    ) -> None:
        self.archive = Archive(source, _NAME, "NTU skeletons", "S001C001P001R001A001.skeleton")
        file_of: dict[str, str] = {}
        for name in self.archive.names:
            sample_id = self.sample_id(name)
            if sample_id in file_of:
                raise InputError(
                    f"{source} holds {sample_id} twice, as {file_of[sample_id]} and as {name}: "
                    "remove one of them."
                )
            file_of[sample_id] = name
        if number is None:
            last = max(fields_of(sample_id)["setup"] for sample_id in file_of)
            number = 60 if last <= _last_setup_of_60() else 120
        self.number, self.align = number, align
        self.edition = edition(number)
        self._foreign = file_of.keys() - self.edition.recorded
        wanted = sorted(file_of.keys() & (self.edition.recorded - self.edition.missing))
        if not wanted:
            raise InputError(
                f"{source} holds {len(file_of)} .skeleton files, but none that NTU RGB+D {number} "
                "trains or tests on: check --edition and the source."
            )
        self.names: Sequence[str] = [file_of[sample_id] for sample_id in wanted]
        self.videos = None
        if videos:
            self.videos = Videos(
                videos,
                _VIDEO,
                "NTU videos",
                "S001C001P001R001A001_rgb.avi",
                _shown_in,
                video or VideoConfig(),
            )
            self.videos.check(wanted)

    @staticmethod
    def sample_id(name: str) -> str:
        """The clip of a file."""
        found = _NAME.fullmatch(name)
        assert found
        return found[1]

    def fingerprint(self) -> dict[str, str]:
        """What the store is made from: the files' names and sizes, in a zip their checksums."""
        return {
            "reader": "ntu/1",
            "edition": str(self.number),
            "align": str(self.align).lower(),
            "files": self.archive.quick_fingerprint(),
            **(self.videos.fingerprint() if self.videos else {}),
        }

    def absent(self) -> dict[str, str]:
        """The clips that are not read, of the edition or of the files here, and why."""
        there = {self.sample_id(name) for name in self.names}
        missing = self.edition.missing
        foreign = dict.fromkeys(sorted(self._foreign), f"not of NTU RGB+D {self.number}")
        return foreign | {
            sample_id: "published as missing" if sample_id in missing else "not found"
            for sample_id in sorted(self.edition.recorded - there)
        }

    def clip(self, name: str) -> Clip:
        """The clip of a file, cleaned.

        Raises:
            InputError: A file that cannot be read, is damaged, or shows nobody; it is named.
        """
        where = f"{name} in {self.archive.uri}"
        recording = parse_skeleton(self.archive.read(name), where)
        dropped: Counter[str] = Counter()
        bodies = drop_broken_poses(list(recording.bodies), dropped)
        if not bodies:
            broken = "body whose joints all are numbers" if recording.bodies else "body"
            raise InputError(f"{where} shows no {broken} in any of its frames: leave it out.")
        bodies, recorded = drop_frames_without_bodies(bodies, recording.num_frames, dropped)
        bodies = drop_short_bodies(bodies, dropped)
        bodies = order_by_motion(*drop_spread_bodies(bodies, dropped))
        joints, pixels, present = assign_actors(bodies, len(recorded), dropped)
        shown = present.any(0)
        dropped["frames of dropped bodies alone"] += int((~shown).sum())
        joints, pixels, present = joints[:, shown], pixels[:, shown], present[:, shown]
        pixels[~np.isfinite(pixels).all(-1)] = np.nan  # out of the colour camera's sight
        joints = centre_on_first_spine(joints, present)
        if self.align:
            joints = align_view(joints, present)
        actors = 2 if present[1].any() else 1
        fields = fields_of(self.sample_id(name))
        clip = Clip(
            sample_id=self.sample_id(name),
            label=fields["action"] - 1,
            subject=fields["subject"],
            camera=fields["camera"],
            setup=fields["setup"],
            joints=joints[:actors],
            pixels=pixels[:actors],
            dropped={what: count for what, count in dropped.items() if count},
        )
        if self.videos is None:
            return clip

        def pixels_of(width: int, height: int) -> Float32Array:
            return clip_pixels * np.array([width / WIDTH, height / HEIGHT], dtype=np.float32)

        clip_pixels = pixels[:actors]
        timing = Timing(recorded[shown], recording.num_frames, FRAMES_A_SECOND)
        return self.videos.attach(clip, pixels_of, timing)


def _shown_in(path: str) -> str:
    found = _VIDEO.fullmatch(path)
    assert found
    return found[1]
