"""The description of a model, `model.json`: all of it but the weights."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from hhmnet_core.checks.names import check_name
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.identity import JsonObject, canonical
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.skeleton.own_layout import recorded_layout
from hhmnet_core.store.manifest import Visual

DESCRIPTION = "model.json"
SCHEMA_VERSION = 1
_OWN_CHECKSUM = "sha256"  # of the other values in model.json
_LEAST = 1e-6  # temperature, and inverse of the largest weight; fitted ones are far from it


@dataclass(frozen=True)
class NetworkDescription:
    """A network of a model.

    Attributes:
        name: Name in the model. Its weights are in the file `<name>.safetensors`.
        member: Its modality, or "video".
        run: Name of the run that trained it.
        config: Config of the phase that trained it, as checkpoints record it.
        weight: Weight in the combination. 0: it only guides another network.
        temperature: Divisor of its logits before they are combined.
        guide: Name of the network that guides it. "" for none.
        visual: Images that it reads. None for a skeleton encoder.
        backbone: Size of a pretrained backbone. None for any other network.
        sha256: Checksum of its weights, in hex.
    """

    name: str
    member: str
    run: str
    config: JsonObject
    weight: float = 1.0
    temperature: float = 1.0
    guide: str = ""
    visual: Visual | None = None
    backbone: JsonObject | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "network name")
        if self.member not in (*MODALITIES, VIDEO):
            raise InputError(f"member is {self.member!r}, expected a modality or {VIDEO}.")
        if not (0 <= self.weight <= 1 / _LEAST and _LEAST <= self.temperature <= 1 / _LEAST):
            raise InputError(
                f"network {self.name} has weight {self.weight} and temperature "
                f"{self.temperature}, expected 0 and {_LEAST} to {1 / _LEAST}."
            )
        if (self.visual is None) == (self.member == VIDEO):
            raise InputError(f"network {self.name} is for {self.member}, but visual is wrong.")

    @property
    def file(self) -> str:
        """Name of the file of its weights."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class ModelDescription:
    """All of a model but its weights.

    Attributes:
        schema_version: Version of the format.
        name: Name of the run, fusion or ensemble that it comes from.
        kind: Kind of what it comes from.
        dataset: Data set that it was trained on.
        protocol: Protocol that it was trained by.
        selection: "val", "literature" or a fold.
        digest: Digest of the training data, sha256 in hex.
        source: Source that the training data were made from, as their store records it.
        class_names: Names of the classes.
        layout: Name of the skeleton layout.
        own_layout: Fields of a layout that is not built in, as `parse_layout` takes them.
        networks: The networks.
        combination: "logits": the weighted mean of the logits. "log_probabilities": the weighted
            sum of the logarithms of their probabilities.
        temperature: Divisor of the combined values before the softmax.
        threshold: Confidence below which a prediction is unsure, which 95 % of the correctly
            classified clips of val exceed. None for a model without val.
        figures: Measured figures: top-1 on val and test, their clips, the 95 % interval on test.
        made_with: Versions of the packages that made it.

    Raises:
        InputError: Values that do not fit each other, or a name that leads to another folder.
    """

    schema_version: int
    name: str
    kind: Literal["phase1", "phase2", "fusion", "ensemble"]
    dataset: str
    protocol: str
    selection: str
    digest: str
    source: dict[str, str]
    class_names: tuple[str, ...]
    layout: str
    own_layout: JsonObject | None
    networks: tuple[NetworkDescription, ...]
    combination: Literal["logits", "log_probabilities"] = "logits"
    temperature: float = 1.0
    threshold: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    made_with: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "model name")
        check_name(self.dataset, "data set name")
        names = [network.name for network in self.networks]
        if len(set(names)) < len(names) or not any(each.weight for each in self.networks):
            raise InputError("networks need names of their own, and at least one a weight.")
        if len(set(self.class_names)) < max(2, len(self.class_names)):
            raise InputError("class_names must be two different names or more.")
        for network in self.networks:
            guides = [each.member for each in self.networks if each.name == network.guide]
            if network.guide and (not guides or guides[0] == VIDEO):
                raise InputError(f"network {network.name} is guided by {network.guide!r}.")
        if not _LEAST <= self.temperature <= 1 / _LEAST:
            raise InputError(
                f"temperature is {self.temperature}, expected {_LEAST} to {1 / _LEAST}."
            )
        for name in self.class_names:
            if not name.strip() or not name.isprintable():
                raise InputError(f"class_names has {name!a}, expected a name on one line.")

    @property
    def skeleton(self) -> Layout:
        """The skeleton layout. Raises InputError where it is unknown or malformed."""
        return recorded_layout(self.layout, self.own_layout)

    @property
    def visual(self) -> Visual | None:
        """Images that its video networks read. None for a model of skeletons alone."""
        return next((each.visual for each in self.networks if each.visual), None)

    @property
    def reads_video(self) -> bool:
        """Whether it reads the video of a clip beside its skeleton."""
        return any(each.member == VIDEO for each in self.networks)

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs that trained its networks."""
        return tuple(dict.fromkeys(network.run for network in self.networks))

    def without_video(self) -> "ModelDescription":
        """Return the model of the skeleton encoders alone, without the figures of the whole."""
        kept = tuple(each for each in self.networks if each.member != VIDEO)
        return replace(self, networks=kept, threshold=None, figures={})


def format_description(model: ModelDescription) -> bytes:
    """Return the content of model.json."""
    values = asdict(model)
    checksum = hashlib.sha256(canonical(values)).hexdigest()
    return (json.dumps(values | {_OWN_CHECKSUM: checksum}, indent=2) + "\n").encode()


def parse_description(content: bytes, where: str) -> ModelDescription:
    """Return the description that a model.json holds.

    Args:
        content: The file's content.
        where: URI of the model's folder, for messages.

    Raises:
        InputError: Not a description, one of a newer schema, or one that was changed.
    """
    again = "export the model again from its run"
    try:
        values = parse_json(content)
        version = values.get("schema_version") if isinstance(values, dict) else None
        if not isinstance(version, int):
            raise InputError("it has no schema_version")
    except (ValueError, InputError) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{DESCRIPTION} in {where} is no model ({reason}): {again}.") from error
    if version > SCHEMA_VERSION:
        raise InputError(
            f"The model {where} has schema version {version}, newer than the {SCHEMA_VERSION} that "
            f"this version reads: update hhmnet, or {again} with this one."
        )
    checksum = values.pop(_OWN_CHECKSUM, None)
    if checksum != hashlib.sha256(canonical(values)).hexdigest():
        raise InputError(
            f"{DESCRIPTION} in {where} does not match its own checksum: it was changed or is "
            f"damaged; {again}."
        )
    try:
        return from_json(ModelDescription, values)
    except InputError as error:
        raise InputError(
            f"{DESCRIPTION} in {where} cannot be used ({str(error).rstrip('.')}): {again}."
        ) from error
