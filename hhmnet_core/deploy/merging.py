"""One model of networks that come from several."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.folders import Weights
from hhmnet_core.deploy.packing import Packed
from hhmnet_core.errors import InputError


@dataclass(frozen=True)
class Part:
    """A network of a model that another model takes over.

    Attributes:
        model: The model.
        weights: Tensors of its networks.
        run: Name of the run that trained the network.
        member: Its modality, or "video".
        weight: Weight in the new combination.
        temperature: Divisor of its logits.
    """

    model: ModelDescription
    weights: Weights
    run: str
    member: str
    weight: float
    temperature: float = 1.0


def merge_networks(parts: Sequence[Part]) -> list[Packed]:
    """Return the networks of a new model, those that only guide others with weight 0.

    Raises:
        InputError: A network that its model does not hold, or models whose skeletons, classes or
            videos differ.
    """
    merged: dict[tuple[str, str], Packed] = {}
    for part in parts:
        _check_alike(parts[0].model, part.model)
        packed, guide = _find(part, part.run, part.member)
        if guide is not None:
            merged.setdefault((guide[0].run, guide[0].member), guide)
        network = replace(packed[0], weight=part.weight, temperature=part.temperature)
        merged[part.run, part.member] = (network, packed[1])
    members = Counter(member for _, member in merged)
    names: dict[tuple[str, str], str] = {}
    for run, member in merged:
        number = sum(1 for _, each in names if each == member)
        names[run, member] = member if members[member] == 1 else f"{member}-{number + 1}"
    named = []
    for key, (network, tensors) in merged.items():
        guide_name = names[_guide_of(parts, key)] if network.guide else ""
        named.append((replace(network, name=names[key], guide=guide_name), tensors))
    return named


def _find(part: Part, run: str, member: str) -> tuple[Packed, Packed | None]:
    """Return a network of a part's model, and the one that guides it."""
    model = part.model
    for network in model.networks:
        if (network.run, network.member) == (run, member):
            guides = [each for each in model.networks if each.name == network.guide]
            guide = replace(guides[0], weight=0.0, temperature=1.0) if guides else None
            return (network, dict(part.weights[network.name])), (
                (guide, dict(part.weights[guide.name])) if guide else None
            )
    raise InputError(f"The model {model.name} has no network {member} of run {run}.")


def _guide_of(parts: Sequence[Part], key: tuple[str, str]) -> tuple[str, str]:
    """Return run and member of the encoder that guides a network."""
    part = next(each for each in parts if (each.run, each.member) == key)
    _, guide = _find(part, *key)
    assert guide is not None
    return guide[0].run, guide[0].member


def _check_alike(first: ModelDescription, other: ModelDescription) -> None:
    for what, ours, theirs in (
        ("skeleton layout", first.skeleton, other.skeleton),
        ("classes", first.class_names, other.class_names),
        ("video format", first.visual or other.visual, other.visual or first.visual),
    ):
        if ours != theirs:
            raise InputError(
                f"The models {first.name} and {other.name} differ in their {what}: a model has one."
            )
