"""MLflow in a real browser: the four modalities of one phase, compared on one chart."""

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from hhmnet_core.skeleton.modalities import MODALITIES

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


def test_modalities_are_selected_compared_and_told_apart_on_one_chart(
    page: Page, finished: Path, mlflow_server: Any, tmp_path: Path
) -> None:
    (run,) = (finished / "runs").iterdir()
    address = json.loads((run / "tracked.json").read_text())["page"]
    names = [f"{modality} · {run.name}" for modality in MODALITIES]
    with mlflow_server(finished / "mlflow.db") as url:
        page.goto(f"{url}/{address}")  # as the run's last lines say
        phase = page.get_by_role("gridcell").filter(has_text=run.name)
        phase.get_by_role("button").first.click()  # its modalities unfold
        for name in names:
            row = page.get_by_role("row").filter(has_text=name)
            row.get_by_role("checkbox").first.check()
        page.screenshot(path=tmp_path / "selected.png")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("Comparing 4 Runs from 1 Experiment")).to_be_visible()
        page.get_by_role("link", name="val/top1").click()
        for name in names:  # the legend; a truncated name would not match
            expect(page.get_by_text(f"{name} (val/top1)")).to_be_visible()
        lines = page.locator(".scatterlayer path.js-line[d^='M']")
        page.wait_for_timeout(1000)  # the lines are animated
        page.screenshot(path=tmp_path / "curves.png")
        colours = lines.evaluate_all("all => all.map(line => getComputedStyle(line).stroke)")
    assert len(set(colours)) == len(MODALITIES), colours
