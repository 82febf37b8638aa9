"""Building a clip store from recordings, in parallel, resumable after an interruption.

Each shard is written with a note beside it. Shards may be built in any order by any process; one
whose note and file are complete is not built again.
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

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder
from hhmnet_core.store.clips import Clip, check_clip
from hhmnet_core.store.manifest import FIELDS, SCHEMA_VERSION, Manifest, Shard, Visual
from hhmnet_core.store.shards import shard_name, write_shard
from hhmnet_core.store.writing import StoreDescription, write_manifest

SHARD_CLIPS = 2048
LEFT_OUT = "left_out.csv"
IN_QUARANTINE = "clips in quarantine"
WITHOUT_VIDEO = "clips without video"
OnError = Literal["fail", "quarantine"]


class Source(Protocol):
    """Recordings that become clips, each by itself."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the recordings, in the store's order."""

    def clip(self, name: str) -> Clip:
        """Return the clip of a recording. Raises InputError, naming it, where it holds none."""


@dataclass(frozen=True)
class StorePlan:
    """The shards of a store that is to be built.

    Attributes:
        description: Description of the store.
        names: Names of all recordings, in order.
        shard_clips: Number of recordings in a shard.
    """

    description: StoreDescription
    names: tuple[str, ...]
    shard_clips: int = SHARD_CLIPS

    @property
    def num_shards(self) -> int:
        return -(-len(self.names) // self.shard_clips)

    def names_of(self, number: int) -> tuple[str, ...]:
        """Return the recordings of a shard."""
        return self.names[number * self.shard_clips :][: self.shard_clips]

    @cached_property
    def key(self) -> str:
        """The digest that distinguishes shards of this plan from those of another one."""
        description = asdict(self.description)
        del description["subject_names"], description["size_ratio"]  # they are in no shard
        description["protocols"] = {
            name: rule.fields() for name, rule in self.description.protocols.items()
        }
        decisive = [SCHEMA_VERSION, description, self.names, self.shard_clips]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class BuiltShard:
    """A shard that has been built, as its note describes it.

    Attributes:
        key: Key of its plan.
        shard: Its file. None where none of its recordings could be read.
        sample_ids: Ids of its clips.
        groups: Subject, camera and setup of its clips.
        left_out: Number of things that the source left out of the recordings, by kind.
        dropped_bodies: Clips without some of their bodies, and which.
        quarantined: Recordings that could not be read, and the reasons.
        no_video: Clips without video of a data set with video, and the reasons.
        videos: Number of clips with video.
        video_joints: Number of known joints in their images.
        video_joints_inside: Number of those joints that lie inside their image.
    """

    key: str
    shard: Shard | None
    sample_ids: list[str] = field(default_factory=list)
    groups: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    dropped_bodies: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    no_video: dict[str, str] = field(default_factory=dict)
    videos: int = 0
    video_joints: int = 0
    video_joints_inside: int = 0


def build_shard(
    folder: Folder, plan: StorePlan, source: Source, number: int, on_error: OnError
) -> BuiltShard:
    """Build a shard: read its recordings, write its file and its note.

    Raises:
        InputError: A recording that is damaged or cannot be trained on, unless `on_error` is
            "quarantine".
        AccessError: A recording that cannot be read at present, or a folder that cannot be written.
    """
    clips: list[Clip] = []
    left_out: Counter[str] = Counter()
    quarantined: dict[str, str] = {}
    for name in plan.names_of(number):
        try:
            clip = source.clip(name)
            check_clip(clip, plan.description.layout, len(plan.description.class_names))
        except AccessError:
            raise
        except InputError as error:
            if on_error == "fail":
                raise
            quarantined[name] = str(error)
            continue
        clips.append(clip)
        left_out.update(clip.dropped)
    image_joints = [clip.video.joints.reshape(-1, 2) for clip in clips if clip.video]
    known = [joints[np.isfinite(joints).all(1)] for joints in image_joints]
    built = BuiltShard(
        key=plan.key,
        shard=write_shard(folder, shard_name(number), clips) if clips else None,
        sample_ids=[clip.sample_id for clip in clips],
        groups={name: [getattr(clip, name) for clip in clips] for name in FIELDS},
        left_out=dict(left_out),
        dropped_bodies={clip.sample_id: why for clip in clips if (why := _bodies_text(clip))},
        quarantined=quarantined,
        no_video={clip.sample_id: clip.no_video for clip in clips if clip.no_video},
        videos=len(image_joints),
        video_joints=sum(map(len, known)),
        video_joints_inside=sum(int(((j >= 0) & (j <= 1)).all(1).sum()) for j in known),
    )
    folder.write(_note_name(number), json.dumps(asdict(built)).encode())
    return built


def _bodies_text(clip: Clip) -> str:
    """Return the bodies that the source dropped, as a text: "1 bodies wider than high"."""
    return "; ".join(
        f"{count} {kind}"
        for kind, count in clip.dropped.items()
        if count and kind.startswith("bod")
    )


def finished_shards(folder: Folder, plan: StorePlan) -> dict[int, BuiltShard]:
    """Return complete shards of an interrupted run, but for those with quarantined recordings."""
    names = set(folder.names())
    shards = {}
    for number in range(plan.num_shards):
        if {_note_name(number), shard_name(number)} <= names:
            built = _parse_note(folder.read(_note_name(number)))
            if built and built.key == plan.key and built.shard and not built.quarantined:
                content = folder.read(built.shard.name)
                if hashlib.sha256(content).hexdigest() == built.shard.sha256:
                    shards[number] = built
    return shards


def finish_store(
    folder: Folder,
    plan: StorePlan,
    shards: Sequence[BuiltShard],
    absent: Mapping[str, str],
    list_absent: bool = True,
) -> Manifest:
    """Make a store of shards: write the table of what was left out and the manifest, remove notes.

    Args:
        folder: Folder of the store.
        plan: Plan of the shards.
        shards: All shards of the plan, in order.
        absent: Clips without a recording in the source, and the reasons.
        list_absent: Write a line for each of these, and not one for each reason.

    Raises:
        InputError: No clips at all, none with a video where videos are kept, a sample_id twice, or
            a folder that cannot be written.
    """
    quarantined = {name: why for built in shards for name, why in built.quarantined.items()}
    no_video = {name: why for built in shards for name, why in built.no_video.items()}
    _write_left_out(
        folder,
        [
            *(("clip", name, why) for name, why in quarantined.items()),
            *_absent_rows(absent, list_absent),
            *(("video", name, why) for name, why in no_video.items()),
            *(
                ("body", name, why)
                for built in shards
                for name, why in built.dropped_bodies.items()
            ),
        ],
    )
    if quarantined and not any(built.shard for built in shards):
        raise InputError(
            f"None of the {len(quarantined)} recordings can be read; the first: "
            f"{next(iter(quarantined.values()))} {LEFT_OUT} in {folder.uri} has all reasons."
        )
    left_out: Counter[str] = Counter()
    for built in shards:
        left_out.update(built.left_out)
    left_out.update(f"clips {why}" for why in absent.values())
    left_out[IN_QUARANTINE] += len(quarantined)
    left_out[WITHOUT_VIDEO] += len(no_video)
    return write_manifest(
        folder,
        replace(plan.description, visual=_count_videos(plan.description.visual, shards, no_video)),
        tuple(built.shard for built in shards if built.shard),
        [sample_id for built in shards for sample_id in built.sample_ids],
        {name: [v for built in shards for v in built.groups[name]] for name in FIELDS},
        {what: count for what, count in sorted(left_out.items()) if count},
    )


def _absent_rows(absent: Mapping[str, str], each: bool) -> list[tuple[str, str, str]]:
    if each:
        return [("clip", name, why) for name, why in absent.items()]
    return [
        ("clip", f"{count} clips", f"{why} (--list_absent true lists them)")
        for why, count in Counter(absent.values()).items()
    ]


def _write_left_out(folder: Folder, rows: Sequence[tuple[str, str, str]]) -> None:
    if rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("what", "sample_id", "why"), *rows])
        folder.write(LEFT_OUT, text.getvalue().encode())
    elif LEFT_OUT in folder.names():
        folder.remove(LEFT_OUT)


def _count_videos(
    visual: Visual | None, shards: Sequence[BuiltShard], no_video: Mapping[str, str]
) -> Visual | None:
    if visual is None:
        return None
    videos = sum(built.videos for built in shards)
    if not videos and no_video:
        name, why = next(iter(no_video.items()))
        raise InputError(
            f"None of the {len(no_video)} clips has a video that could be used; of {name}: "
            f"{why}. Check where the videos are, or prepare the store without."
        )
    joints = sum(built.video_joints for built in shards)
    inside = sum(built.video_joints_inside for built in shards) / max(joints, 1)
    return replace(visual, clips=videos, joints_inside=inside)


def _note_name(number: int) -> str:
    return f"clips-{number:05d}.json"


def _parse_note(content: bytes) -> BuiltShard | None:
    try:
        fields = parse_json(content)
        shard = fields.pop("shard")
        return BuiltShard(shard=Shard(**shard) if shard else None, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # incomplete: the shard is built again
