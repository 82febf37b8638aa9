from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from hhmnet_core.store.reading import load_clips
from hhmnet_platform.cluster import node_tasks
from hhmnet_platform.cluster.node_tasks import (
    disk_problem,
    remove_token,
    store_problem,
    unseen_tokens,
    write_token,
)
from hhmnet_platform.datasets.builders import prepare_synthetic

HUGE = 1 << 60


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the context of a node; its `id` may be changed."""
    context = SimpleNamespace(id="node-1")
    context.get_node_id = lambda: context.id
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    return context


def test_full_disk_is_reported_with_the_space_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path))
    assert disk_problem("digest", 1) == ""
    problem = disk_problem("digest", HUGE)
    assert problem.startswith(f"{tmp_path} has ")
    assert f" MB free, but the run needs {2 * HUGE / 1e6:.0f} MB there" in problem
    assert "point HHMNET_CACHE elsewhere" in problem
    (tmp_path / "digest.v2.arrow").touch()  # cached already
    assert disk_problem("digest", HUGE) == ""


def test_temporary_folder_needs_room_for_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path))
    monkeypatch.setattr(node_tasks, "TEMPORARY_BYTES", HUGE)
    assert "point TMPDIR elsewhere" in disk_problem("digest", 1)


def test_cache_that_cannot_be_used_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_CACHE", "/dev/null/cache")
    assert "cannot be used" in disk_problem("digest", 1)


def test_missing_and_other_stores_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    store = str(tmp_path / "store")
    prepare_synthetic(store, clips_per_class=2, stream="none")
    assert store_problem(store, load_clips(store).manifest.digest) == ""
    assert "is another store there" in store_problem(store, "another")
    assert "cannot be read there" in store_problem(str(tmp_path / "nowhere"), "any")


def test_nodes_that_share_a_workspace_see_each_others_files(
    node: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_tasks, "SECONDS_TO_APPEAR", 0.0)
    workspace, ids = str(tmp_path / "workspace"), ["node-1", "node-2"]
    assert write_token(workspace, ".probe") == ""
    assert unseen_tokens(workspace, ".probe", ids) == ["node-2"]
    node.id = "node-2"
    assert write_token(workspace, ".probe") == ""
    assert unseen_tokens(workspace, ".probe", ids) == []
    for node.id in ids:
        remove_token(workspace, ".probe")
        remove_token(workspace, ".probe")  # gone already
    assert list((tmp_path / "workspace").iterdir()) == []


def test_workspace_that_cannot_be_written_is_reported(
    node: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    problem = write_token(str(tmp_path / "file" / "workspace"), ".probe")
    assert problem.startswith("it cannot write to the workspace. ")
