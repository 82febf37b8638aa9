"""Recording runs as they end: MLflow may fail meanwhile, the file may not."""

from pathlib import Path
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.grid import Bench, plan_runs
from hhmnet_platform.ablation.journal import Journal
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.ablation.plan import Ablation
from hhmnet_platform.ablation.variants import phase1_ablation


class SilentPage:
    """The pages of an MLflow that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def write(self, finished: Any) -> None:
        self.asked += 1
        raise InputError("MLflow at http://x cannot be written to (timeout).")


def test_run_is_kept_where_mlflow_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = phase1_ablation(Phase1Config())
    benches = [Bench("", Phase1Config(), [1, 2])]
    tasks = plan_runs(subject, benches, ["all"])
    ablation = Ablation(subject, benches, tasks, {}, lambda outcomes: "")
    file, page = str(tmp_path / "out.jsonl"), SilentPage()
    journal = Journal(ablation, file, {}, page)  # type: ignore[arg-type]
    assert journal.missing() == tasks
    outcomes = [Outcome("all", seed, {}, "", {"fusion": 0.5}) for seed in (1, 2)]
    for task, outcome in zip(tasks, outcomes, strict=True):
        journal.end(task, outcome)
    assert read_outcomes(file) == outcomes == list(journal.finished.values())
    assert page.asked == 1  # each attempt would hold up the runs
    printed = capsys.readouterr().out
    assert printed.count("note: MLflow at http://x cannot be written to (timeout). Runs are") == 1
    assert journal.missing() == []
    journal.check_failures()
