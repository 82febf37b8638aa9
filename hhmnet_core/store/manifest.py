"""The manifest of a clip store, and the digest that names its content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from hhmnet_core.checks.names import check_name
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject, canonical
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.own_layout import recorded_layout

SCHEMA_VERSION = 1
FIELDS = ("subject", "camera", "setup")
MAX_SIZE_RATIO = 2.0  # of bodies between subjects or splits; networks see more as another action


@dataclass(frozen=True)
class Protocol:
    """Rules on `subject`, `camera` and `setup` for the clips of train and of test.

    A rule `{"camera": [1, 2]}` takes the clips of camera 1 or 2; of several fields a clip has to
    match each. A rule without fields takes all clips.

    Attributes:
        train: Rule for the training clips, those of `val` included.
        test: Rule for the test clips.
        val: Rule for the training clips that are held out for validation. None: whole subjects.
    """

    train: Mapping[str, Sequence[int]]
    test: Mapping[str, Sequence[int]]
    val: Mapping[str, Sequence[int]] | None = None

    def __post_init__(self) -> None:
        for split in ("train", "test", "val"):
            rule = getattr(self, split)
            if rule is None:
                continue
            if unknown := sorted(set(rule) - set(FIELDS)):
                raise InputError(
                    f"A protocol's {split} rule names {', '.join(unknown)}; "
                    f"expected fields of {', '.join(FIELDS)}."
                )
            plain = {field: [int(value) for value in rule[field]] for field in rule}
            object.__setattr__(self, split, plain)

    def fields(self) -> JsonObject:
        """Return the rules as plain values, without `val` where there is none."""
        return {name: rule for name, rule in asdict(self).items() if rule is not None}


@dataclass(frozen=True)
class Shard:
    """One parquet file of a store: its name in the folder, sha256 (hex), size and clips."""

    name: str
    sha256: str
    bytes: int
    num_clips: int


@dataclass(frozen=True)
class Visual:
    """The videos in a store.

    Attributes:
        stream: "rgb" or "depth".
        frames: Number of images of a clip.
        size: Width and height of an image, pixels.
        clips: Number of clips with a video.
        joints_inside: Share of their known joints that lie inside their image.
    """

    stream: str
    frames: int
    size: int
    clips: int = 0
    joints_inside: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """The manifest of a store.

    Attributes:
        schema_version: Version of the store's format.
        dataset: Name of the data set.
        layout: Name of the skeleton layout.
        class_names: Names of the classes, by label.
        protocols: Protocols by name. The first is the default.
        counts: Number of clips in train, val and test under selection "val", by protocol.
        shards: Shards in order.
        digest: sha256 (hex) of all that decides a result: shards, layout, classes, protocols.
        source: Source that the store was made from, by kind.
        left_out: Number of things of the source that are not in the store, by kind. Not in the
            digest.
        visual: Videos in the store. None: no videos. Not in the digest.
        own_layout: Fields of a layout that is not built in, as `parse_layout` takes them.
        subject_names: Names of the subjects by number, where they are not the numbers. Not in the
            digest.
        size_ratio: Largest ratio of the bodies' sizes between subjects or splits, where the source
            measures it. Not in the digest.

    Raises:
        InputError: A name of the data set or of a shard that would lead to another folder.
    """

    schema_version: int
    dataset: str
    layout: str
    class_names: tuple[str, ...]
    protocols: dict[str, Protocol]
    counts: dict[str, dict[str, int]]
    shards: tuple[Shard, ...]
    digest: str
    source: dict[str, str]
    left_out: dict[str, int] = field(default_factory=dict)
    visual: Visual | None = None
    own_layout: JsonObject | None = None
    subject_names: dict[int, str] = field(default_factory=dict)
    size_ratio: float = 1.0

    def __post_init__(self) -> None:
        check_name(self.dataset, "data set name")  # names of runs start with it
        for shard in self.shards:
            check_name(shard.name, "shard name")

    @property
    def skeleton(self) -> Layout:
        """The skeleton layout. Raises InputError where it is unknown or malformed."""
        return recorded_layout(self.layout, self.own_layout)

    @property
    def num_clips(self) -> int:
        return sum(shard.num_clips for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)

    def expected_digest(self) -> str:
        """Return the digest that follows from the other fields."""
        decisive = self.rules() | {"shards": [shard.sha256 for shard in self.shards]}
        return hashlib.sha256(canonical(decisive)).hexdigest()

    def rules(self) -> JsonObject:
        """Return all that decides a result beside the clips themselves."""
        rules: JsonObject = {
            "schema_version": self.schema_version,
            "layout": self.layout,
            "class_names": list(self.class_names),
            "protocols": {name: rule.fields() for name, rule in self.protocols.items()},
        }
        if self.own_layout is not None:
            rules["own_layout"] = self.own_layout
        return rules

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Read a manifest's JSON.

    Args:
        text: Content of the file.
        where: URI of the store, for messages.

    Raises:
        InputError: Not JSON, not a manifest, of a newer schema, or edited by hand.
    """
    file = f"manifest.json of the store {where}"
    again = "prepare the store again"
    try:
        fields = parse_json(text)
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}): {again}.") from error
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{file} has no schema_version: it is no clip store; {again}.")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"The store {where} has schema version {version}, newer than the {SCHEMA_VERSION} that "
            f"this version reads: update hhmnet, or {again} with this one."
        )
    try:
        manifest = _from_fields(fields)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, InputError) as error:
        reason = str(error).rstrip(".") if isinstance(error, InputError) else repr(error)
        raise InputError(f"{file} has a missing or malformed field ({reason}): {again}.") from error
    if manifest.num_clips < 1:
        raise InputError(f"{file} lists no clips: {again}.")
    if manifest.digest != manifest.expected_digest():
        raise InputError(f"{file} does not match its own digest, so it was edited: {again}.")
    return manifest


def _from_fields(fields: JsonObject) -> Manifest:
    return Manifest(
        schema_version=int(fields["schema_version"]),
        dataset=str(fields["dataset"]),
        layout=str(fields["layout"]),
        class_names=tuple(str(name) for name in fields["class_names"]),
        protocols={
            str(name): Protocol(train=rule["train"], test=rule["test"], val=rule.get("val"))
            for name, rule in fields["protocols"].items()
        },
        counts={
            str(name): {str(split): int(count) for split, count in splits.items()}
            for name, splits in fields["counts"].items()
        },
        shards=tuple(
            Shard(str(s["name"]), str(s["sha256"]), int(s["bytes"]), int(s["num_clips"]))
            for s in fields["shards"]
        ),
        digest=str(fields["digest"]),
        source={str(key): str(value) for key, value in fields["source"].items()},
        left_out={str(what): int(count) for what, count in fields.get("left_out", {}).items()},
        visual=Visual(**fields["visual"]) if fields.get("visual") else None,
        own_layout=fields.get("own_layout"),
        subject_names={int(n): str(name) for n, name in fields.get("subject_names", {}).items()},
        size_ratio=float(fields.get("size_ratio", 1.0)),
    )
