"""The grid of an ablation: every run once, and what a file holds of it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from made_stores import write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.grid import Bench, find_finished, further_tasks, plan_runs
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.ablation.variants import Phase1Training, phase1_ablation
from hhmnet_platform.storage.line_files import append_line

CONFIG = Phase1Config()


def test_runs_of_a_pair_are_next_to_each_other() -> None:
    benches = [Bench("one", CONFIG, [1, 2]), Bench("two", CONFIG, [5])]
    tasks = plan_runs(phase1_ablation(CONFIG), benches, ["all", "no mask"])
    assert [task.key for task in tasks] == [
        ("all", "one", 1), ("no mask", "one", 1), ("all", "two", 5), ("no mask", "two", 5),
        ("all", "one", 2), ("no mask", "one", 2),
    ]  # fmt: skip
    assert [task.label for task in tasks[2:4]] == ["all, two, seed 5", "no mask, two, seed 5"]
    assert [task.config.model.mask for task in tasks[:2]] == [True, False]


@pytest.mark.parametrize(
    ("variants", "seeds", "message"),
    [
        (["no legs"], [1], "Unknown variant 'no legs'; known are all, no mask"),
        ([], [1], "at least one variant"),
        (["all", "all"], [1], r"each given once, but variants are \['all', 'all'\]"),
        (["all"], [2, 1, 2], r"but seeds are \[2, 1, 2\]"),
        (["all"], [], "at least one variant, one bench and one seed"),
    ],
)
def test_what_cannot_be_run_is_named(variants: list[str], seeds: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_runs(phase1_ablation(CONFIG), [Bench("", CONFIG, seeds)], variants)


def test_outcomes_of_the_same_config_data_and_figures_alone_count(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    write_small_store(store)
    config = Phase1Config(data=DataConfig(store=store))
    subject = phase1_ablation(config)
    tasks = plan_runs(subject, [Bench("", config, [1, 2])], ["all", "no mask"])
    values = json.loads(json.dumps(subject.identity(tasks[0].config)))
    known = Outcome("all", 1, values, read_manifest(store).digest, {"fusion": 0.5})
    file = tmp_path / "outcomes"
    assert find_finished(subject, tasks, read_outcomes(file)) == {}
    for other in (
        replace(known, seed=3),
        replace(known, seed=2),  # with the config of seed 1
        replace(known, variant="no mask"),
        replace(known, digest="of other data"),
        replace(known, bench="one"),
        replace(known, modalities=["joint"]),
        replace(known, top1={"joint": 0.5}),
        known,
    ):
        append_line(file, asdict(other))
    assert find_finished(subject, tasks, read_outcomes(file)) == {("all", "", 1): known}
    narrow = plan_runs(subject, [Bench("", config, [3])], ["no mask"])
    further = further_tasks(subject, [Bench("", config, [3])], narrow, read_outcomes(file))
    assert [task.key for task in further] == [
        ("all", "", 3), ("all", "", 2), ("no mask", "", 1), ("all", "", 1),
    ]  # fmt: skip
    assert find_finished(subject, further, read_outcomes(file)) == {("all", "", 1): known}
    thorough = phase1_ablation(config, training=Phase1Training(needs_log_loss=True))
    assert find_finished(thorough, tasks, read_outcomes(file)) == {}
