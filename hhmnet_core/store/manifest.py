"""What a clip store says of itself: the manifest, and the digest that names its content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.skeleton.own_layout import parse_layout

SCHEMA_VERSION = 1
FIELDS = ("subject", "camera", "setup")


@dataclass(frozen=True)
class Protocol:
    """Which clips train and which test, by rules on `subject`, `camera` and `setup`.

    A rule `{"camera": [1, 2]}` takes the clips whose camera is 1 or 2; with several fields a clip
    has to match each. A rule without fields takes all.
    """

    train: Mapping[str, Sequence[int]]
    test: Mapping[str, Sequence[int]]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            rule = getattr(self, part)
            if unknown := sorted(set(rule) - set(FIELDS)):
                raise InputError(
                    f"A protocol's {part} rule names {', '.join(unknown)}; "
                    f"expected fields of {', '.join(FIELDS)}."
                )
            plain = {field: [int(value) for value in rule[field]] for field in rule}
            object.__setattr__(self, part, plain)


@dataclass(frozen=True)
class Shard:
    """One parquet file of a store: its name in the folder, sha256 (hex), size and clips."""

    name: str
    sha256: str
    bytes: int
    num_clips: int


@dataclass(frozen=True)
class Visual:
    """What a store holds of videos.

    Attributes:
        stream: "rgb" or "depth".
        frames: Images of a clip.
        size: Width and height of an image, pixels.
        clips: How many clips have a video.
        joints_inside: The share of their joints, where known, that lie in their image.
    """

    stream: str
    frames: int
    size: int
    clips: int = 0
    joints_inside: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """All that a store says of itself.

    Attributes:
        schema_version: Of the store's format.
        dataset: The data set's name.
        layout: The skeleton layout's name.
        class_names: One for each label, in order.
        protocols: By name; the first is the default.
        counts: For each protocol its clips in train, val and test under selection "val".
        shards: In order.
        digest: sha256 (hex) of all that decides a result: shards, layout, classes, protocols.
        source: What the store was made from.
        left_out: What of the source is not in the store, and how often; no part of the digest.
        visual: What it holds of videos; None: nothing. No part of the digest either.
        own_layout: The layout in full, where it is not built in: what `parse_layout` takes.
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
    own_layout: dict[str, Any] | None = None

    @property
    def skeleton(self) -> Layout:
        """The layout. Raises InputError where it is unknown or spoilt."""
        if self.own_layout is None:
            return get_layout(self.layout)
        return parse_layout(self.own_layout, f"The layout {self.layout}")

    @property
    def num_clips(self) -> int:
        return sum(shard.num_clips for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)

    def expected_digest(self) -> str:
        """The digest that follows from the other fields."""
        decisive = self.rules() | {"shards": [shard.sha256 for shard in self.shards]}
        return hashlib.sha256(canonical(decisive)).hexdigest()

    def rules(self) -> dict[str, Any]:
        """What decides a result beside the clips themselves."""
        rules: dict[str, Any] = {
            "schema_version": self.schema_version,
            "layout": self.layout,
            "class_names": list(self.class_names),
            "protocols": {name: asdict(rule) for name, rule in self.protocols.items()},
        }
        if self.own_layout is not None:
            rules["own_layout"] = self.own_layout
        return rules

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no white space: equal values, equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Reads a manifest's JSON.

    Args:
        text: The file's content.
        where: The store's URI, for messages.

    Raises:
        InputError: Not JSON, not a manifest, of a newer schema, or edited by hand.
    """
    spoilt = f"manifest.json of the store {where}"
    again = "prepare the store again"
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise InputError(f"{spoilt} is not JSON ({error}): {again}.") from error
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{spoilt} has no schema_version: it is no clip store; {again}.")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"The store {where} has schema version {version}, newer than the {SCHEMA_VERSION} that "
            f"this version reads: update hhmnet, or {again} with this one."
        )
    try:
        manifest = _from_fields(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{spoilt} lacks or spoils a field ({error!r}): {again}.") from error
    if manifest.digest != manifest.expected_digest():
        raise InputError(f"{spoilt} does not match its own digest, so it was edited: {again}.")
    return manifest


def _from_fields(fields: dict[str, Any]) -> Manifest:
    return Manifest(
        schema_version=int(fields["schema_version"]),
        dataset=str(fields["dataset"]),
        layout=str(fields["layout"]),
        class_names=tuple(str(name) for name in fields["class_names"]),
        protocols={
            str(name): Protocol(train=rule["train"], test=rule["test"])
            for name, rule in fields["protocols"].items()
        },
        counts={
            str(name): {str(part): int(count) for part, count in parts.items()}
            for name, parts in fields["counts"].items()
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
    )
