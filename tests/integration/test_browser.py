"""MLflow in a real browser: the four modalities of one phase, compared on one chart."""

import json
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.members import COLOURS

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        warnings.warn("NO CHROMIUM: MLflow was not looked at in a browser", stacklevel=1)
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1600, "height": 1100})
        page.set_default_timeout(90_000)
        expect.set_options(timeout=90_000)
        yield page
        browser.close()


def unfold(page: Page, run: str) -> None:
    """Shows the modalities under their phase."""
    phase = page.get_by_role("gridcell").filter(has_text=run)
    phase.get_by_role("button").first.click()


def test_modalities_are_selected_and_compared(
    page: Page, finished: Path, mlflow_server: Any, tmp_path: Path
) -> None:
    run, address = tracked(finished)
    names = [f"{modality} · {run}" for modality in MODALITIES]
    with mlflow_server(finished / "mlflow.db") as url:
        page.goto(f"{url}/{address}")  # as the run's last line says
        unfold(page, run)
        for name in names:
            row = page.get_by_role("row").filter(has_text=name)
            row.get_by_role("checkbox").first.check()
        page.screenshot(path=tmp_path / "selected.png")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("Comparing 4 Runs from 1 Experiment")).to_be_visible()
        for name in names:
            expect(page.get_by_role("cell", name=name)).to_be_visible()
        page.get_by_role("link", name="val/top1").click()
        for name in names:  # the legend of the one chart, none cut off
            expect(page.get_by_text(f"{name} (val/top1)")).to_be_visible()
        page.screenshot(path=tmp_path / "compared.png")

        # Where the runs are listed beside their charts, colours are ours and tell them apart.
        page.evaluate("localStorage.clear()")  # what is unfolded, among others
        page.goto(f"{url}/{address}?compareRunsMode=CHART")
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


STROKES = "lines => lines.map(line => getComputedStyle(line).stroke)"


def tracked(workspace: Path) -> tuple[str, str]:
    """The run's name and its page in MLflow."""
    (run,) = (workspace / "runs").iterdir()
    return run.name, json.loads((run / "tracked.json").read_text())["page"]


def in_css(colour: str) -> str:
    """`#1f77b4` as a browser gives it: `rgb(31, 119, 180)`."""
    return f"rgb{tuple(bytes.fromhex(colour.removeprefix('#')))}"
