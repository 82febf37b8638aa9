"""Joining a cluster: addresses where none is, tokens that are missing, and open clusters."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import AuthenticationError

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster import joining
from hhmnet_platform.cluster.joining import is_open_cluster, join_cluster
from hhmnet_platform.cluster.ray_private import addresses, tokens


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that Ray was told to join; it never does."""
    addresses: list[Any] = []
    monkeypatch.setattr(ray, "init", lambda address, **options: addresses.append(address))
    return addresses


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that is listened on, on all interfaces."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


def test_cluster_that_cannot_be_reached_is_refused_at_once(
    joined: list[Any], free_port: int
) -> None:
    with pytest.raises(InputError, match=rf"No Ray cluster .*RAY_ADDRESS=127\S+:{free_port} \("):
        join_cluster(f"127.0.0.1:{free_port}")
    assert joined == []  # Ray would have tried for minutes


def test_stale_address_of_a_cluster_that_is_gone_is_refused_at_once(
    joined: list[Any], free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = f"127.0.0.1:{free_port}"
    monkeypatch.setattr(addresses, "canonicalize_bootstrap_address", lambda address: found)
    with pytest.raises(InputError, match=r"RAY_ADDRESS=auto \(.*refused\): start one with `ray"):
        join_cluster("auto")
    assert joined == []


def test_cluster_that_asks_for_a_token_is_named(
    joined: list[Any], listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: str) -> None:
        raise AuthenticationError("InvalidAuthToken")

    monkeypatch.setattr(joining, "_check_accepted", refuse)
    with pytest.raises(InputError, match=r"asks for its token: set RAY_AUTH_MODE=token, and put"):
        join_cluster(f"127.0.0.1:{listener}")
    assert joined == []


def test_token_that_is_nowhere_is_named(
    joined: list[Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_has_token", lambda: False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(InputError, match=r"RAY_AUTH_MODE=token, but there is no token: put"):
        join_cluster("127.0.0.1:6379")
    assert joined == []


@pytest.mark.parametrize(
    ("node", "has_token", "answers", "is_open"),
    [
        ("10.0.0.7", False, False, True),
        ("10.0.0.7", True, True, False),
        ("127.0.0.1", False, True, True),  # Ray listens on all interfaces all the same
        ("127.0.0.1", False, False, False),
    ],
)
def test_cluster_is_open_without_a_token_and_beyond_loopback(
    node: str,
    has_token: bool,
    answers: bool,
    is_open: bool,
    listener: int,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = listener if answers else free_port
    monkeypatch.setenv("RAY_ADDRESS", f"{node}:{port}")
    monkeypatch.setattr(tokens, "is_token_auth_enabled", lambda: has_token)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "NodeManagerAddress": node}])
    context = SimpleNamespace(gcs_address=f"{node}:{port}")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    assert is_open_cluster() is is_open


def test_local_ray_is_no_open_cluster() -> None:
    assert not is_open_cluster()
