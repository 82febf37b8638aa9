"""Members of a run and their colours."""

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.members import ALL, COLOURS, MEMBERS, TRAINED


def test_every_phase_reports_on_its_networks_and_the_fusion() -> None:
    assert TRAINED == {"phase1": MODALITIES, "phase2": ("video",)}
    for phase, networks in TRAINED.items():
        assert MEMBERS[phase] == (*networks, "fusion")
        assert set(MEMBERS[phase]) <= set(ALL)


def test_every_member_has_a_colour_of_its_own() -> None:
    assert tuple(COLOURS) == ALL
    assert len(set(COLOURS.values())) == len(ALL) == 6
