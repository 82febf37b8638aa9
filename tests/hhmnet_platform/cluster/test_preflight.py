from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster import preflight
from hhmnet_platform.cluster.node_probe import Installation
from hhmnet_platform.cluster.preflight import (
    check_installations,
    check_nodes,
    check_problems,
    check_shared,
)

OURS = Installation("/env/bin/python", (), {"python": "3.11.7", "torch": "2.13.0"}, "abc")
HEAD, WORKER = "head (10.0.0.10)", "worker (10.0.0.11)"


def test_nodes_with_the_same_packages_pass() -> None:
    check_installations(HEAD, {HEAD: OURS, WORKER: replace(OURS, python="/other/bin/python")})


@pytest.mark.parametrize(
    ("theirs", "message"),
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
def test_node_with_other_packages_is_named(theirs: Installation, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        check_installations(HEAD, {HEAD: OURS, WORKER: theirs})
    assert "\n" not in str(raised.value)


def test_missing_package_is_reported_before_versions() -> None:
    lacks = replace(OURS, missing=("hhmnet_core",), versions={"python": "3.12.0", "torch": ""})
    with pytest.raises(InputError, match="cannot import hhmnet_core"):
        check_installations(HEAD, {HEAD: OURS, "other": replace(OURS, sources="x"), WORKER: lacks})


def test_node_that_misses_anothers_file_is_named_with_it() -> None:
    names = {"0": "other (10.0.0.9)", "1": HEAD, "2": WORKER}
    check_shared("/shared", HEAD, names, {HEAD: [], WORKER: []})
    with pytest.raises(InputError, match=r"this path is not shared: node .* cannot see") as raised:
        check_shared(
            "/shared", HEAD, names, {"other (10.0.0.9)": ["2"], HEAD: ["2"], WORKER: ["0", "1"]}
        )
    assert f"node {WORKER} cannot see what node {HEAD} wrote" in str(raised.value)


def test_problem_is_reported_with_the_nodes_name() -> None:
    check_problems({HEAD: "", WORKER: ""})
    with pytest.raises(InputError, match=r"^Node worker \(10.0.0.11\): it is full$"):
        check_problems({HEAD: "", WORKER: "it is full"})


class FakeNodes:
    """Stands in for the nodes of a cluster: each gives the answer that the test names."""

    driver = HEAD

    def __init__(self, **answers: Any) -> None:
        self.names = {"1": HEAD, "2": WORKER}
        self.answers = {"inspect_installation": OURS, "unseen_tokens": []} | answers
        self.asked: list[str] = []

    def ask(self, task: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        self.asked.append(task.__name__)
        return dict.fromkeys(self.names.values(), self.answers.get(task.__name__, ""))


CLIPS: Any = SimpleNamespace(manifest=SimpleNamespace(digest="d"), frames=np.zeros(3))


def test_one_node_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = FakeNodes()
    nodes.names = {"1": HEAD}
    monkeypatch.setattr(preflight, "Nodes", lambda: nodes)
    check_nodes("/workspace", "/store", CLIPS)
    assert nodes.asked == []


def test_nodes_are_checked_from_packages_to_store(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = FakeNodes()
    monkeypatch.setattr(preflight, "Nodes", lambda: nodes)
    check_nodes("/workspace", "/store", CLIPS)
    assert nodes.asked == [
        "inspect_installation",
        "disk_problem",
        "write_token",
        "unseen_tokens",
        "remove_token",
        "store_problem",
    ]


def test_files_of_the_check_are_removed_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = FakeNodes(unseen_tokens=["2"])
    monkeypatch.setattr(preflight, "Nodes", lambda: nodes)
    with pytest.raises(InputError, match="this path is not shared"):
        check_nodes("/workspace", "/store", CLIPS)
    assert nodes.asked[-1] == "remove_token"
