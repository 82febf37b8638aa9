"""The report: one page that needs no other file, with names escaped."""

from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.ensemble_report import html_report
from hhmnet_platform.fusion.ensemble_result import summarise_ensemble


def report(ensemble: Ensemble, config: SelectionConfig) -> str:
    result = summarise_ensemble(ensemble, "data/xsub", "", config)
    return html_report(ensemble, result, "data-ensemble-1")


def test_page_stands_alone_and_escapes_names(ensemble: Ensemble, config: SelectionConfig) -> None:
    page = report(ensemble, config)
    assert page.count("data:image/png;base64,") == 4
    assert "class &lt;1&gt;" in page and "class <1>" not in page
    assert "is &lt;running&gt;" in page and "http" not in page
    for heading in ("Leaderboard", "Members", "Accuracy by class", "Calibration", "Left out"):
        assert f"<h2>{heading}</h2>" in page
    assert "exact test:\np = " in page and "chance" not in page
    assert "without copies" not in page


def test_copies_are_a_column_and_a_note(copied: list[Candidate], config: SelectionConfig) -> None:
    ensemble = make_ensemble(copied, [], config)
    page = report(ensemble, config)
    ours = ensemble.leaderboard[0]
    assert '<th class="n">test without copies</th>' in page
    assert f'<td class="n">{ours.test_top1_without_copies:.1%}</td></tr>' in page
    assert "50 test clips are copies of training clips. The last column leaves them" in page
    assert "<p>Nothing.</p>" in page
