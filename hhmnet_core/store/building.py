"""A clip store made of recordings, in parallel, and interrupted.

It is made of parts, each a shard and a note beside it. Parts may be made in any order by any
process; a part whose note and shard are whole is not made again.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.store.clips import Clip, check_clip
from hhmnet_core.store.manifest import SCHEMA_VERSION, Manifest, Shard
from hhmnet_core.store.writing import (
    StoreDescription,
    groups_of,
    shard_name,
    write_manifest,
    write_shard,
)

SHARD_CLIPS = 2048
LEFT_OUT = "left_out.csv"
UNREADABLE = "clips in quarantine"
NO_VIDEO = "clips without video"
OnError = Literal["fail", "quarantine"]


class Source(Protocol):
    """Recordings that become clips, each on its own."""

    @property
    def names(self) -> Sequence[str]:
        """The recordings, in the store's order."""

    def clip(self, name: str) -> Clip:
        """The clip of a recording. Raises InputError, naming it, where there is none in it."""


@dataclass(frozen=True)
class StorePlan:
    """The parts that a store is made of.

    Attributes:
        about: The store.
        names: All recordings, in order.
        shard_clips: Recordings of a part.
    """

    about: StoreDescription
    names: tuple[str, ...]
    shard_clips: int = SHARD_CLIPS

    @property
    def num_parts(self) -> int:
        return -(-len(self.names) // self.shard_clips)

    def names_of(self, part: int) -> tuple[str, ...]:
        return self.names[part * self.shard_clips :][: self.shard_clips]

    @cached_property
    def key(self) -> str:
        """Differs where a part made for another plan must not be taken for one of this."""
        decisive = [SCHEMA_VERSION, asdict(self.about), self.names, self.shard_clips]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class BuiltShard:
    """A part that is made.

    Attributes:
        key: Of its plan.
        shard: Its file; None where none of its recordings could be read.
        sample_ids: Of its clips; likewise `groups`, by field of a protocol's rules.
        left_out: What the source left out of the recordings, and how often.
        quarantined: The recordings that could not be read, and why.
        no_video: Its clips without video, where the data set has video, and why.
        videos: Clips with video.
        video_joints: Joints of their images whose places are known.
        video_joints_inside: Those of them that lie in their image.
    """

    key: str
    shard: Shard | None
    sample_ids: list[str] = field(default_factory=list)
    groups: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    no_video: dict[str, str] = field(default_factory=dict)
    videos: int = 0
    video_joints: int = 0
    video_joints_inside: int = 0


def build_shard(
    place: Folder, plan: StorePlan, source: Source, number: int, on_error: OnError
) -> BuiltShard:
    """Makes a part: reads its recordings, writes its shard and its note.

    Raises:
        InputError: A recording that cannot be read or trained on, unless `on_error` is
            "quarantine"; a place that cannot be written.
    """
    clips: list[Clip] = []
    left_out: Counter[str] = Counter()
    quarantined: dict[str, str] = {}
    for name in plan.names_of(number):
        try:
            clip = source.clip(name)
            check_clip(clip, plan.about.layout, len(plan.about.class_names))
        except InputError as error:
            if on_error == "fail":
                raise
            quarantined[name] = str(error)
            continue
        clips.append(clip)
        left_out.update(clip.dropped)
    image_joints = [clip.video.joints.reshape(-1, 2) for clip in clips if clip.video]
    known = [joints[np.isfinite(joints).all(1)] for joints in image_joints]
    part = BuiltShard(
        key=plan.key,
        shard=write_shard(place, shard_name(number), clips) if clips else None,
        sample_ids=[clip.sample_id for clip in clips],
        groups=groups_of(clips),
        left_out=dict(left_out),
        quarantined=quarantined,
        no_video={clip.sample_id: clip.no_video for clip in clips if clip.no_video},
        videos=len(image_joints),
        video_joints=sum(map(len, known)),
        video_joints_inside=sum(int(((j >= 0) & (j <= 1)).all(1).sum()) for j in known),
    )
    place.write(_note_name(number), json.dumps(asdict(part)).encode())
    return part


def finished_shards(place: Folder, plan: StorePlan) -> dict[int, BuiltShard]:
    """The parts that an interrupted run has left whole; those with a quarantine are made again."""
    there = set(place.names())
    parts = {}
    for number in range(plan.num_parts):
        if {_note_name(number), shard_name(number)} <= there:
            part = _noted(place.read(_note_name(number)))
            if part and part.key == plan.key and part.shard and not part.quarantined:
                content = place.read(part.shard.name)
                if hashlib.sha256(content).hexdigest() == part.shard.sha256:
                    parts[number] = part
    return parts


def finish_store(
    place: Folder, plan: StorePlan, parts: Sequence[BuiltShard], absent: Mapping[str, str]
) -> Manifest:
    """Ties parts to a store: the table of what was left out, the manifest, no notes.

    Args:
        place: Where the parts are.
        plan: Theirs.
        parts: All of the plan, in order.
        absent: Clips that the source has no recording of, and why.

    Raises:
        InputError: No clips at all, none with a video where videos are kept, a sample_id twice, or
            a place that cannot be written.
    """
    quarantined = {name: why for part in parts for name, why in part.quarantined.items()}
    left_out: Counter[str] = Counter()
    for part in parts:
        left_out.update(part.left_out)
    left_out.update(f"clips {why}" for why in absent.values())
    left_out[UNREADABLE] += len(quarantined)
    no_video = {name: why for part in parts for name, why in part.no_video.items()}
    left_out[NO_VIDEO] += len(no_video)
    rows = [
        *quarantined.items(),
        *absent.items(),
        *((f"{name} (video)", why) for name, why in no_video.items()),
    ]
    if rows:
        place.write(LEFT_OUT, _table(rows))
    elif LEFT_OUT in place.names():
        place.remove(LEFT_OUT)
    if quarantined and not any(part.shard for part in parts):
        raise InputError(
            f"None of the {len(quarantined)} recordings can be read; the first: "
            f"{next(iter(quarantined.values()))} {LEFT_OUT} in {place.uri} says why of each."
        )
    about = plan.about
    if about.visual:
        joints = sum(part.video_joints for part in parts)
        inside = sum(part.video_joints_inside for part in parts) / max(joints, 1)
        videos = sum(part.videos for part in parts)
        if not videos and no_video:
            name, why = next(iter(no_video.items()))
            raise InputError(
                f"None of the {len(no_video)} clips has a video that could be used; of {name}: "
                f"{why}. Check where the videos are, or prepare the store without."
            )
        about = replace(about, visual=replace(about.visual, clips=videos, joints_inside=inside))
    return write_manifest(
        place,
        about,
        tuple(part.shard for part in parts if part.shard),
        [sample_id for part in parts for sample_id in part.sample_ids],
        {name: [v for part in parts for v in part.groups[name]] for name in groups_of([])},
        {what: count for what, count in sorted(left_out.items()) if count},
    )


def _note_name(number: int) -> str:
    return f"clips-{number:05d}.json"


def _noted(content: bytes) -> BuiltShard | None:
    try:
        fields = json.loads(content)
        shard = fields.pop("shard")
        return BuiltShard(shard=Shard(**shard) if shard else None, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # not whole: the part is made again


def _table(rows: Sequence[tuple[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("what", "why"))
    writer.writerows(rows)
    return text.getvalue().encode()
