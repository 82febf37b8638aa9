"""The identity of a run: what names it, and what a record of it may lack."""

from dataclasses import replace

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.storage.run_identity import RunIdentity

CONFIG = Phase1Config(data=DataConfig(store="/data/films", protocol="cross-view"))
IDENTITY = RunIdentity(CONFIG, "digest")


def test_place_of_the_store_is_no_part_of_it() -> None:
    moved = replace(CONFIG, data=replace(CONFIG.data, store="s3://bucket/films"))
    assert RunIdentity(moved, "digest").values == IDENTITY.values
    assert "data.store" not in IDENTITY.values and "data.store" not in IDENTITY.params
    assert RunIdentity(moved, "digest").differing(IDENTITY.values) == []


def test_digests_are_part_of_it() -> None:
    assert IDENTITY.values["data.digest"] == "digest" and "guide" not in IDENTITY.values
    assert RunIdentity(CONFIG, "other").differing(IDENTITY.values) == ["data.digest"]
    guided = RunIdentity(Phase2Config(), "digest", "weights")
    assert guided.values["guide"] == "weights"
    assert replace(guided, guide="others").differing(guided.values) == ["guide"]


def test_changed_fields_are_named() -> None:
    changed = replace(CONFIG, seed=2, optim=replace(CONFIG.optim, lr=1.0))
    assert RunIdentity(changed, "digest").differing(IDENTITY.values) == ["optim.lr", "seed"]


def test_record_that_lacks_a_field_has_its_default() -> None:
    recorded = IDENTITY.values
    del recorded["augment.roll"], recorded["model.patch"]
    assert IDENTITY.differing(recorded) == []
    rolled = replace(CONFIG, augment=replace(CONFIG.augment, roll=20.0))
    assert RunIdentity(rolled, "digest").differing(recorded) == ["augment.roll"]
