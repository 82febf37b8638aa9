"""Jobs: every option of a phase with a default, and numbers that cannot be."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.runs.config import Phase1Job, Phase2Job, Placement, check_placement
from hhmnet_platform.scripts.cli import parse_config


def test_phase_is_no_option() -> None:
    assert (Phase1Job.phase, Phase2Job.phase) == ("phase1", "phase2")
    with pytest.raises(InputError, match="phase"):
        parse_config("phase1.py", Phase1Job, ["--phase=phase2"])


def test_options_are_those_of_the_config_and_the_placement() -> None:
    job = parse_config("phase1.py", Phase1Job, ["--optim.lr=0.5", "--workers=2:8"])
    assert (job.optim.lr, job.workers, job.modality_parallel) == (0.5, "2:8", None)


@pytest.mark.parametrize(
    "name", ["checkpoint_minutes", "resize_minutes", "price_per_worker_hour", "max_failures"]
)
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_numbers_that_cannot_be_are_refused(name: str, value: float) -> None:
    check_placement(Placement(**{name: 0}))
    with pytest.raises(InputError, match=f"{name} must be 0 to .*, but is"):
        check_placement(Placement(**{name: value}))


def test_dashboard_is_refused_where_the_cluster_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_placement(Placement(dashboard=True))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    check_placement(Placement(log_workers=True))
    with pytest.raises(InputError, match=r"--dashboard is for .* RAY_ADDRESS=10.0.0.1:6379 names"):
        check_placement(Placement(dashboard=True))
