"""The phases by name."""

from typing import Any

from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.phase import Phase
from hhmnet_platform.runs.phase1 import Phase1
from hhmnet_platform.runs.phase2 import Phase2

AnyPhase = Phase[Any, Any]
PHASES: dict[str, AnyPhase] = {phase.name: phase for phase in (Phase1(), Phase2())}


def phase_of(job: Job) -> AnyPhase:
    """Return the phase that a job trains."""
    return PHASES[job.phase]
