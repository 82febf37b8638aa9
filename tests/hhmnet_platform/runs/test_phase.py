"""What both phases share: configs of jobs, workers by default, what nothing guides."""

from dataclasses import fields

import pytest

from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.search.space import distributions, parse_dimension

JOBS = [Phase1Job(), Phase2Job()]
LAPTOP = Resources("this machine", ((4, 0),))
GPUS = Resources("the cluster", ((16, 4),))


@pytest.mark.parametrize("job", JOBS)
def test_config_of_a_job_has_its_values_with_store_and_protocol(
    job: Phase1Job | Phase2Job,
) -> None:
    phase = phase_of(job)
    config = phase.config_of(job, "/data/films", "cross-view")
    assert type(config) is phase.config_type
    assert (config.data.store, config.data.protocol) == ("/data/films", "cross-view")
    for each in fields(config):
        if each.name != "data":
            assert getattr(config, each.name) == getattr(job, each.name)


@pytest.mark.parametrize("job", JOBS)
def test_example_for_a_search_can_be_searched(job: Phase1Job | Phase2Job) -> None:
    example = phase_of(job).search_example
    space = {example: parse_dimension(example, {"low": 0.03, "high": 0.5, "log": True})}
    assert list(distributions(job, space)) == [example]


def test_workers_by_default() -> None:
    first, second = (phase_of(job) for job in JOBS)
    assert first.plan_mesh(JOBS[0], LAPTOP).workers == 4
    assert second.plan_mesh(JOBS[1], LAPTOP).workers == 1  # with all the cores
    assert second.plan_mesh(JOBS[1], LAPTOP).cpus_per_worker == 4
    assert second.plan_mesh(JOBS[1], GPUS).workers == 4
    assert second.plan_mesh(JOBS[1], GPUS).modality_parallel == 1
    assert first.plan_mesh(Phase1Job(workers=4, modality_parallel=2), GPUS).modality_parallel == 2
