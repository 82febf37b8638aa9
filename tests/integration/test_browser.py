"""Pages in a browser: modalities and trials in MLflow, and the report of an ensemble."""

import json
import shutil
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect, sync_playwright

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.fusion.candidates import Candidate, LeftOut
from hhmnet_platform.fusion.ensemble import make_ensemble
from hhmnet_platform.fusion.ensemble_report import html_report
from hhmnet_platform.fusion.ensemble_result import summarise_ensemble
from hhmnet_platform.members import COLOURS
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import DerivedRun, begin_derived_run, finish_derived_run
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending, TrackedRun
from hhmnet_platform.tracking.uri import experiment_page, run_page, with_options

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    warnings.warn("no Chromium: pages were not looked at in a browser", stacklevel=1)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1600, "height": 1100})
        page.set_default_timeout(90_000)
        expect.set_options(timeout=90_000)
        yield page
        browser.close()


def unfold(page: Page, run: str) -> None:
    """Show the modalities under their phase."""
    phase = page.get_by_role("gridcell").filter(has_text=run)
    phase.get_by_role("button").first.click()


def test_modalities_are_selected_and_compared(
    page: Page, finished: Path, mlflow_server: Any, tmp_path: Path
) -> None:
    run, address = tracked(finished)
    names = [f"{modality} · {run}" for modality in MODALITIES]
    with mlflow_server(finished / "mlflow.db") as url:
        page.goto(f"{url}/{address}")  # the address in the last line of the run's output
        unfold(page, run)
        for name in names:
            row = page.get_by_role("row").filter(has_text=name)
            row.get_by_role("checkbox").first.check()
        page.screenshot(path=tmp_path / "selected.png")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("Comparing 4 Runs from 1 Experiment")).to_be_visible()
        for name in names:
            expect(page.get_by_role("cell", name=name)).to_be_visible()
        # A click is lost where the page, still filling, moves the link away below it.
        chart = page.get_by_role("link", name="val/top1", exact=True).get_attribute("href")
        page.goto(f"{url}/{chart}")
        for name in names:  # the legend of the one chart, none cut off
            expect(page.get_by_text(f"{name} (val/top1)")).to_be_visible()
        page.screenshot(path=tmp_path / "compared.png")

        # The charts beside the list of runs have a colour of ours for each modality.
        page.evaluate("localStorage.clear()")  # what is unfolded, among others
        page.goto(f"{url}/{with_options(address, 'compareRunsMode=CHART')}")
        page.reload()
        unfold(page, run)
        page.get_by_placeholder("Search metric charts").fill("val/top1")
        drawn = set()
        expected = {in_css(COLOURS[modality]) for modality in MODALITIES}
        ends = time.monotonic() + 90
        while not expected <= drawn and time.monotonic() < ends:
            page.wait_for_timeout(500)
            for chart in page.locator(".js-plotly-plot").all():
                lines = chart.locator(".scatterlayer path.js-line")
                found = set(lines.evaluate_all(STROKES))
                drawn = max(drawn, found, key=lambda colours: len(colours & expected))
        page.screenshot(path=tmp_path / "charts.png")
        assert expected <= drawn


def test_pages_of_experiment_run_and_model_explain_themselves(
    page: Page, finished: Path, mlflow_server: Any, tmp_path: Path
) -> None:
    name, address = tracked(finished)
    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("films/cross-view")
    assert experiment
    number = experiment.experiment_id
    by_member = {each.data.tags[tags.MODALITY]: each for each in client.search_runs([number])}
    parent = by_member["fusion"].info.run_id
    (logged,) = client.search_logged_models([number])
    with mlflow_server(finished / "mlflow.db") as url:
        page.goto(f"{url}/{address}")
        page.evaluate("localStorage.clear()")  # a browser that has not been here
        page.reload()
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()  # not GenAI's overview
        expect(page.get_by_text("Comparable runs: one data set")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
        page.screenshot(path=tmp_path / "experiment.png")

        page.goto(f"{url}/{run_page(number, parent)}")
        expect(page.get_by_text("phase1.py")).to_be_visible()  # the source, as it was typed
        expect(page.get_by_role("cell", name="fusion, equal weights")).to_be_visible()
        page.get_by_text("Show more").click()
        expect(page.get_by_text("To look at next:")).to_be_visible()
        page.screenshot(path=tmp_path / "run.png")

        joint = by_member["joint"].info.run_id
        files = run_page(number, joint).replace(joint, f"{joint}/artifacts/errors.json")
        page.goto(f"{url}/{files}")
        for column in ("clip", "true", "predicted", "confidence"):
            expect(page.get_by_role("columnheader", name=column)).to_be_visible()
        page.screenshot(path=tmp_path / "errors.png")

        model = run_page(number, parent).replace(f"runs/{parent}", f"models/{logged.model_id}")
        page.goto(f"{url}/{model}")
        command = f"hhmnet predict --model runs:/{parent} --input FILE"
        expect(page.get_by_text(command)).to_be_visible()
        expect(page.get_by_role("cell", name="test/top1", exact=True)).to_be_visible()
        page.screenshot(path=tmp_path / "model.png")


@pytest.mark.slow
def test_moved_workspace_shows_its_figures(
    page: Page, finished: Path, start: Any, free_port: int, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    workspace = (tmp_path / "copy").rename(tmp_path / "moved")
    database = workspace / "mlflow.db"
    with sqlite3.connect(database) as connection:  # as though what it was copied from were gone
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (str(finished), str(tmp_path / "copy")),
            )
        (run,) = connection.execute(
            "SELECT run_uuid, experiment_id FROM runs WHERE name LIKE 'joint %'"
        ).fetchall()
    figure = run_page(str(run[1]), f"{run[0]}/artifacts/figures/curves.png")
    script = Path(__file__).parents[2] / "experiments" / "ui.py"
    ui = start(sys.executable, script, f"--workspace={workspace}", f"--port={free_port}")
    ui.wait_for("startup complete", 200)
    page.goto(f"http://127.0.0.1:{free_port}/{figure}")
    expect(page.locator("img[src^='blob:'], img[src*='artifact']").first).to_be_visible()
    page.screenshot(path=tmp_path / "moved.png")
    ui.stop()
    assert not (tmp_path / "copy").exists()


@pytest.mark.slow
def test_trials_are_read_in_parallel_coordinates(
    page: Page, mlflow_server: Any, tmp_path: Path
) -> None:
    uri, experiment = f"sqlite:///{tmp_path / 'mlflow.db'}", "toy/cross-view"
    search = DerivedRun(experiment, "toy-search", {}, {}, {}, "A search.", {})
    parent = begin_derived_run(uri, search, str(tmp_path / "artifacts"))
    titles = []
    for trial, temperature in enumerate((0.05, 0.1, 0.2)):
        titles.append(f"contrast.temperature {temperature}")
        run = TrackedRun(
            uri, experiment, "", f"toy-phase1-{trial}", ("joint", "fusion"),
            {"contrast.temperature": temperature, "seed": 1}, {}, "toy", "d" * 64, "/store",
            parent.run_id, titles[-1],
        )  # fmt: skip
        writer = MlflowWriter(run)
        writer.connect()
        metrics = {"fusion": {"train/loss": 1.0, "val/top1": 0.9 - temperature}}
        writer.write([EpochRecord(1, 1.0, metrics)])
        writer.finish(Ending("FINISHED", {}))
    finish_derived_run(uri, parent, search)
    with mlflow_server(tmp_path / "mlflow.db") as url:
        page.goto(f"{url}/{experiment_page(parent.experiment_id)}")
        page.evaluate("localStorage.clear()")
        page.reload()
        unfold(page, "toy-search")
        for title in titles:
            row = page.get_by_role("row").filter(has_text=title)
            row.get_by_role("checkbox").first.check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("Comparing 3 Runs from 1 Experiment")).to_be_visible()
        # The parameter that differs is there unasked; the metric has to be chosen.
        page.get_by_role("combobox").nth(1).click(force=True)
        page.get_by_text("val/top1", exact=True).last.click()
        axes = page.locator(".parcoords .axis-title")
        expect(axes.filter(has_text="contrast.temperature")).to_be_visible()
        expect(axes.filter(has_text="val/top1")).to_be_visible()
        assert "seed" not in axes.all_text_contents()
        page.screenshot(path=tmp_path / "parallel.png")


def test_report_of_an_ensemble_stands_alone(page: Page, tmp_path: Path) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("request", lambda request: errors.append(request.url))
    ensemble = make_ensemble(candidates(), [LeftOut("other", "is running")], SELECTION)
    result = summarise_ensemble(ensemble, "toy/xsub", "", SELECTION)
    (tmp_path / "report.html").write_text(html_report(ensemble, result, "toy-ensemble"))
    page.goto(f"file://{tmp_path / 'report.html'}")
    for head in (
        "Leaderboard",
        "Members",
        "Accuracy by class",
        "Most frequent confusions",
        "Left out",
    ):
        expect(page.get_by_role("heading", name=head, exact=True)).to_be_visible()
    pictures = page.locator("img")
    assert pictures.count() == 4
    widths = pictures.evaluate_all("images => images.map(image => image.naturalWidth)")
    assert min(widths) > 300
    board = page.get_by_role("table").first
    expect(board.get_by_role("row").nth(1)).to_contain_text("ensemble")
    assert board.bounding_box()["width"] <= page.viewport_size["width"]  # type: ignore[index]
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    loaded = [each for each in errors if not each.startswith(("file:", "data:"))]
    assert not loaded, loaded


def candidates() -> list[Candidate]:
    """Four networks on 60 clips of five classes; two of them are good."""
    random = np.random.default_rng(1)
    names = tuple(f"class {number}" for number in range(5))
    networks = []
    for member, strength in zip(MODALITIES, (2.0, 1.5, 0.5, 0.1), strict=True):
        tables = []
        for split in ("val", "test"):
            labels = np.arange(60) % 5
            logits = random.normal(size=(60, 5)).astype(np.float32)
            logits[np.arange(60), labels] += strength
            ids = tuple(f"{split}{number}" for number in range(60))
            tables.append(
                ScoreTable(ids, labels, logits, "toy-phase1-0", member, split, "d" * 64, names)
            )
        networks.append(Candidate("toy-phase1-0", member, *tables))
    return networks


SELECTION = SelectionConfig(steps=10)
STROKES = "lines => lines.map(line => getComputedStyle(line).stroke)"


def tracked(workspace: Path) -> tuple[str, str]:
    """The name of the run, and its page in MLflow."""
    (run,) = (workspace / "runs").iterdir()
    return run.name, json.loads((run / "tracked.json").read_text())["page"]


def in_css(colour: str) -> str:
    """`#1f77b4` as a browser gives it: `rgb(31, 119, 180)`."""
    return f"rgb{tuple(bytes.fromhex(colour.removeprefix('#')))}"
