"""The phases by name."""

import pytest

from hhmnet_platform.members import MEMBERS, TRAINED
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import PHASES, phase_of

JOBS = [Phase1Job(), Phase2Job()]


@pytest.mark.parametrize("job", JOBS)
def test_phase_belongs_to_its_job(job: Phase1Job | Phase2Job) -> None:
    phase = phase_of(job)
    assert phase is PHASES[job.phase] and isinstance(job, phase.job_type)
    assert phase.networks == TRAINED[phase.name] and phase.members == MEMBERS[phase.name]
    assert phase.objective in phase.members
