"""Facts of NTU RGB+D 60 (Shahroudy et al., CVPR 2016) and 120 (Liu et al., TPAMI 2019).

The recordings, the skeletons that the authors list as missing, and the protocols are data:
`editions.json`, beside this module.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.store.manifest import Protocol

EditionNumber = Literal[60, 120]

_SAMPLE_ID = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


class Sample(NamedTuple):
    """The numbers in a clip's name; `subject` is the performer."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int


@dataclass(frozen=True)
class Edition:
    """NTU RGB+D 60 or 120.

    Attributes:
        dataset: Name in stores.
        class_names: Names of the actions, in order.
        protocols: Protocols of the paper, by name.
        published: Numbers of training and test clips in the literature, by protocol.
        recorded: Sample ids of all recorded clips.
        missing: Sample ids whose skeletons the authors list as missing or incomplete.
    """

    dataset: str
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    published: Mapping[str, tuple[int, int]]
    recorded: frozenset[str]
    missing: frozenset[str]


@cache
def get_edition(number: EditionNumber) -> Edition:
    """Return the facts of NTU RGB+D 60 or 120."""
    facts = _facts()
    edition = facts["editions"][str(number)]
    recorded = _recorded(edition["last_setup"])
    return Edition(
        dataset=f"ntu{number}",
        class_names=tuple(facts["class_names"][: edition["actions"]]),
        protocols={name: Protocol(**rule) for name, rule in edition["protocols"].items()},
        published={name: (train, test) for name, (train, test) in edition["published"].items()},
        recorded=recorded,
        missing=recorded & frozenset(facts["missing_skeletons"]),
    )


@cache
def _facts() -> JsonObject:
    facts: JsonObject = json.loads(files(__package__).joinpath("editions.json").read_text("utf-8"))
    return facts


def _last_setup(number: EditionNumber) -> int:
    last: int = _facts()["editions"][str(number)]["last_setup"]
    return last


def _recorded(last_setup: int) -> frozenset[str]:
    """Return the sample ids of all recordings up to a set-up."""
    facts = _facts()
    actions_60, actions_120 = (facts["editions"][str(n)]["actions"] for n in (60, 120))
    # The set-ups of NTU RGB+D 60 recorded its sixty actions, the later ones the other sixty.
    early, late = range(1, actions_60 + 1), range(actions_60 + 1, actions_120 + 1)
    return frozenset(
        f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"
        for setup in range(1, last_setup + 1)
        for performer in facts["recorded"]["performers_of_setup"][str(setup)]
        for camera in facts["recorded"]["cameras"]
        for replication in facts["recorded"]["replications"]
        for action in (early if setup <= _last_setup(60) else late)
    )


def smallest_edition(sample_ids: Iterable[str]) -> EditionNumber:
    """Return 60, or 120 if a clip belongs to a set-up that NTU RGB+D 60 lacks."""
    last = max(parse_sample_id(sample_id).setup for sample_id in sample_ids)
    return 60 if last <= _last_setup(60) else 120


def parse_sample_id(sample_id: str) -> Sample:
    """Return the numbers in a sample id. Raises InputError for one of another form."""
    match = _SAMPLE_ID.fullmatch(sample_id)
    if not match:
        raise InputError(
            f"{sample_id} is not the name of an NTU clip: expected one like S001C001P001R001A001."
        )
    return Sample(*map(int, match.groups()))
