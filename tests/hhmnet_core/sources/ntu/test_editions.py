"""The facts of NTU RGB+D 60 and 120 against the published numbers."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.sources.ntu.editions import (
    EditionNumber,
    Sample,
    get_edition,
    parse_sample_id,
    smallest_edition,
)


@pytest.mark.parametrize(("number", "clips", "missing"), [(60, 56_578, 302), (120, 113_945, 535)])
def test_protocols_give_the_published_numbers_of_clips(
    number: EditionNumber, clips: int, missing: int
) -> None:
    facts = get_edition(number)
    assert facts.dataset == f"ntu{number}"
    assert len(facts.class_names) == number
    assert len(facts.missing) == missing
    usable = [parse_sample_id(sample_id) for sample_id in facts.recorded - facts.missing]
    assert len(usable) == clips
    for name, protocol in facts.protocols.items():
        counts = tuple(
            sum(all(getattr(s, field) in values for field, values in rule.items()) for s in usable)
            for rule in (protocol.train, protocol.test)
        )
        assert counts == facts.published[name]
        assert sum(counts) == clips


def test_120_contains_60() -> None:
    sixty, whole = get_edition(60), get_edition(120)
    assert sixty.recorded < whole.recorded and sixty.missing < whole.missing
    assert whole.class_names[:60] == sixty.class_names
    assert {parse_sample_id(s).action for s in whole.recorded - sixty.recorded} == {*range(61, 121)}


def test_name_holds_the_numbers() -> None:
    sample = parse_sample_id("S005C003P010R002A058")
    assert sample == Sample(setup=5, camera=3, subject=10, replication=2, action=58)
    for name in ("S005C003P010R002", "S005C003P010R002A058.skeleton", "wave"):
        with pytest.raises(InputError, match=rf"^{name} is not the name of an NTU clip: expected"):
            parse_sample_id(name)


def test_edition_follows_from_the_last_set_up() -> None:
    assert smallest_edition(["S001C001P001R001A001", "S017C001P003R001A001"]) == 60
    assert smallest_edition(["S001C001P001R001A001", "S018C001P008R001A061"]) == 120
