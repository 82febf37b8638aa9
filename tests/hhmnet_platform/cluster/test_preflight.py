import re
from dataclasses import replace
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.cluster import preflight
from hhmnet_platform.cluster.node_probe import Installed, look
from hhmnet_platform.cluster.preflight import (
    check_answers,
    check_disk,
    check_installed,
    check_shared,
    check_store,
)
from hhmnet_platform.datasets.builders import prepare_synthetic

OURS = Installed("/env/bin/python", (), {"python": "3.11.7", "torch": "2.13.0"}, "abc")
HEAD, WORKER = "head (10.0.0.10)", "worker (10.0.0.11)"


def test_equal_nodes_are_taken() -> None:
    check_installed(HEAD, {HEAD: OURS, WORKER: replace(OURS, python="/other/bin/python")})


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (
            replace(OURS, missing=("hhmnet_core", "hhmnet_platform"), versions={}, sources=""),
            r"Node worker \(10.0.0.11\) cannot import hhmnet_core and hhmnet_platform in /env/bin",
        ),
        (
            replace(OURS, versions=OURS.versions | {"torch": "2.12.0"}),
            r"worker \(10.0.0.11\) has torch 2.12.0, but node head \(10.0.0.10\), .* has 2.13.0",
        ),
        (
            replace(OURS, versions=OURS.versions | {"torch": ""}),
            r"worker \(10.0.0.11\) has torch \(none\)",
        ),
        (
            replace(OURS, sources="abd"),
            r"worker \(10.0.0.11\) has other source files of the package \(abd\)",
        ),
    ],
)
def test_node_with_other_software_is_named(theirs: Installed, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        check_installed(HEAD, {HEAD: OURS, WORKER: theirs})
    assert "\n" not in str(raised.value)


def test_missing_package_is_told_before_versions() -> None:
    lacks = replace(OURS, missing=("hhmnet_core",), versions={"python": "3.12.0", "torch": ""})
    with pytest.raises(InputError, match="cannot import hhmnet_core"):
        check_installed(HEAD, {HEAD: OURS, "other": replace(OURS, sources="x"), WORKER: lacks})


def test_own_installation_is_seen() -> None:
    seen = look()
    assert seen.missing == () and set(seen.versions) == {"python", "hhmnet-ray", "torch", "ray"}
    assert all(re.fullmatch(r"\d+\.\d+(\.\d+)?", version) for version in seen.versions.values())
    assert look() == seen


def test_changed_module_and_missing_package_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "apackage"
    package.mkdir()
    (package / "__init__.py").touch()
    module = package / "module.py"
    module.write_text("a = 1\n")
    (tmp_path / "afolder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(
        "hhmnet_platform.cluster.node_probe.PACKAGES", ("apackage", "afolder", "nowhere")
    )
    before = look()
    assert before.missing == ("afolder", "nowhere")
    module.write_text("a = 2\n")
    assert look().sources != before.sources


def test_node_that_does_not_see_anothers_file_is_named_with_it() -> None:
    names = {"0": "other (10.0.0.9)", "1": HEAD, "2": WORKER}
    check_shared("/shared", HEAD, names, {HEAD: [], WORKER: []})
    with pytest.raises(InputError, match=r"this path is not shared: node .* cannot see") as raised:
        check_shared(
            "/shared", HEAD, names, {"other (10.0.0.9)": ["2"], HEAD: ["2"], WORKER: ["0", "1"]}
        )
    assert f"node {WORKER} cannot see what node {HEAD} wrote" in str(raised.value)


def test_trouble_is_told_with_the_nodes_name() -> None:
    check_answers({HEAD: "", WORKER: ""})
    with pytest.raises(InputError, match=r"^Node worker \(10.0.0.11\): it is full$"):
        check_answers({HEAD: "", WORKER: "it is full"})


def test_full_disk_is_told_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path))
    assert check_disk("digest", 1) == ""
    huge = 1 << 60
    assert f"{tmp_path} has" in check_disk("digest", huge)
    assert "point HHMNET_CACHE elsewhere" in check_disk("digest", huge)
    (tmp_path / "digest.v2.arrow").touch()  # it is there already
    assert check_disk("digest", huge) == ""
    monkeypatch.setattr(preflight, "SPARE_BYTES", huge)
    assert "point TMPDIR elsewhere" in check_disk("digest", 1)
    monkeypatch.setenv("HHMNET_CACHE", "/dev/null/cache")
    assert "cannot be used" in check_disk("digest", 1)


def test_absent_and_other_stores_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    store = str(tmp_path / "store")
    prepare_synthetic(store, clips_per_class=2, stream="none")
    assert check_store(store, load_clips(store).manifest.digest) == ""
    assert "is another store there" in check_store(store, "another")
    assert "cannot be read there" in check_store(str(tmp_path / "nowhere"), "any")
