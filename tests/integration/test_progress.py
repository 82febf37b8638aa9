"""What a run shows and tracks within its epochs, without a terminal."""

import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from mlflow import MlflowClient

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).parents[2]
STEPS, EPOCHS = 3, 3  # of `TINY` on the store of films


def status(url: str, token: str) -> int:
    request = Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_long_epochs_are_shown_and_tracked_by_step_and_change_no_result(
    start: Callable[..., Any],
    phase1_arguments: Callable[..., tuple[str, ...]],
    finished: Path,
    tmp_path: Path,
) -> None:
    process = start(
        sys.executable,
        REPOSITORY / "tests" / "noticed_training.py",
        REPOSITORY / "experiments" / "phase1.py",
        *phase1_arguments(tmp_path, "--dashboard=true", "--log_workers=true"),
        env={"HHMNET_CACHE": str(tmp_path / "cache")},
    )
    dashboard = process.wait_for(r"^dashboard   (http://127\.0\.0\.1:\d+), .* token in (.*)$")
    nodes, token = f"{dashboard[1]}/nodes?view=summary", Path(dashboard[2]).read_text()
    assert (status(nodes, token), status(nodes, "another")) == (200, 403)
    assert process.finish() == 0, process.output
    assert re.search(r"^\(RayTrainWorker pid=\d+\) ", process.output, re.MULTILINE)
    for task in ("reading /.*films", "measuring bodies", "measuring the inputs", "scoring"):
        assert re.search(rf"^{task}: [\d,]+ of [\d,]+ clips$", process.output, re.MULTILINE), task
    shown = re.findall(
        r"^epoch (\d): step (\d) of (\d), loss [\d.]+, [\d,]+ clips/s; [\d:]+ left in epoch \d of "
        r"3, [\d:]+ in all$",
        process.output,
        re.MULTILINE,
    )
    numbers = itertools.product(range(1, EPOCHS + 1), range(1, STEPS + 1), [STEPS])
    assert shown == [tuple(map(str, each)) for each in numbers]
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["hhmnet.modality"] == "fusion"]
    points = client.get_metric_history(parent.info.run_id, "progress/loss")
    assert [point.step for point in points] == list(range(1, STEPS * EPOCHS + 1))
    (run,), (other,) = ((w / "runs").iterdir() for w in (tmp_path, finished))
    last = "epoch-00003/joint.safetensors"
    assert (run / last).read_bytes() == (other / last).read_bytes()
    quiet = (finished / "output.txt").read_text()
    assert "step 1" not in quiet and "scoring:" not in quiet
