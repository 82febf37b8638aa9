"""Fields that are added later rename no run and keep none from resuming."""

from dataclasses import dataclass, field

from hhmnet_core.from_json import from_json
from hhmnet_core.identity import apart, differing, flat_identity, identity, later


@dataclass
class Before:
    lr: float = 0.1
    epochs: int = 12


@dataclass
class After(Before):
    compile: bool = later(False)
    kernels: list[int] = later(list)


@dataclass
class RunBefore:
    optim: Before = field(default_factory=lambda: Before(lr=0.3))
    seed: int = 1


@dataclass
class RunAfter:
    optim: After = field(default_factory=lambda: After(lr=0.3))
    seed: int = 1


def test_later_fields_with_their_defaults_are_left_out() -> None:
    assert identity(RunAfter()) == identity(RunBefore())
    assert flat_identity(RunAfter()) == {"optim.lr": 0.3, "optim.epochs": 12, "seed": 1}


def test_later_fields_with_other_values_count() -> None:
    config = RunAfter(optim=After(lr=0.3, compile=True, kernels=[3]))
    assert identity(config)["optim"] == {"lr": 0.3, "epochs": 12, "compile": True, "kernels": [3]}


def test_fields_from_the_start_count_with_their_defaults() -> None:
    assert identity(Before()) == {"lr": 0.1, "epochs": 12}


def test_record_that_lacks_a_field_has_its_default() -> None:
    recorded = identity(RunBefore())
    assert differing(recorded, RunAfter()) == []
    assert differing(flat_identity(RunBefore()), RunAfter()) == []
    changed = RunAfter(optim=After(lr=0.3, compile=True))
    assert differing(recorded, changed) == ["optim.compile"]


def test_record_that_lacks_an_old_field_has_its_default() -> None:
    recorded = {"optim": {"lr": 0.3}, "seed": 1}
    assert differing(recorded, RunAfter()) == []
    assert differing(recorded, RunAfter(optim=After(lr=0.3, epochs=13))) == ["optim.epochs"]


def test_differences_are_named_with_their_path() -> None:
    recorded = {"optim": {"lr": 0.4, "epochs": 12, "gone": 5}, "seed": 2}
    assert differing(recorded, RunAfter()) == ["optim.gone", "optim.lr", "seed"]


@dataclass
class Redesigned(Before):
    version: int = later(2, before=1)


@dataclass
class RunRedesigned:
    optim: Redesigned = field(default_factory=lambda: Redesigned(lr=0.3))
    seed: int = 1


def test_field_of_a_new_default_names_new_runs_and_leaves_old_ones() -> None:
    assert identity(RunRedesigned())["optim"] == {"lr": 0.3, "epochs": 12, "version": 2}
    old = RunRedesigned(optim=Redesigned(lr=0.3, version=1))
    assert identity(old) == identity(RunBefore())


def test_record_from_before_a_new_default_has_the_earlier_value() -> None:
    recorded = identity(RunBefore())
    assert differing(recorded, RunRedesigned()) == ["optim.version"]
    assert differing(recorded, RunRedesigned(optim=Redesigned(lr=0.3, version=1))) == []
    assert from_json(RunRedesigned, recorded).optim.version == 1
    assert from_json(RunRedesigned, identity(RunRedesigned())).optim.version == 2


def test_records_share_no_list() -> None:
    one, other = (from_json(RunAfter, identity(RunBefore())) for _ in range(2))
    one.optim.kernels.append(3)
    assert other.optim.kernels == [] and from_json(After, {}).kernels == []


@dataclass
class Layers:
    branches: tuple[tuple[int, int], ...] = ((3, 1), (5, 2))


@dataclass
class Nested:
    layers: Layers = field(default_factory=Layers)


def test_values_are_those_of_json() -> None:
    assert flat_identity(Nested()) == {"layers.branches": [[3, 1], [5, 2]]}


@dataclass
class Run:
    optim: Before = field(default_factory=Before)
    faster: bool | None = apart(None)


def test_fields_apart_are_no_part_of_an_identity_whatever_their_value() -> None:
    plain, faster = Run(), Run(faster=True)
    assert identity(plain) == identity(faster) == {"optim": {"lr": 0.1, "epochs": 12}}
    assert differing(identity(plain), faster) == differing(identity(faster), plain) == []
    assert from_json(Run, identity(faster)).faster is None
    assert from_json(Run, {"optim": {}, "faster": True}).faster is True
