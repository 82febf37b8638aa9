import os
import sys

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.ray_environment import cluster_address, set_ray_defaults


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the variables of this process, which are empty for the test."""
    variables: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", variables)
    return variables


@pytest.mark.parametrize(
    ("given", "address"), [(None, None), ("", None), ("local", None), ("10.0.0.1:6379",) * 2]
)
def test_address_of_the_cluster(
    environment: dict[str, str], given: str | None, address: str | None
) -> None:
    if given is not None:
        environment["RAY_ADDRESS"] = given
    assert cluster_address() == address


def test_address_of_a_dashboard_is_refused(environment: dict[str, str]) -> None:
    environment["RAY_ADDRESS"] = "http://127.0.0.1:8265"
    with pytest.raises(InputError, match=r"RAY_ADDRESS=http://.* is a dashboard.*ray job submit"):
        cluster_address()


def test_ray_started_here_stays_on_loopback(environment: dict[str, str]) -> None:
    set_ray_defaults()
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert environment["GLOO_SOCKET_IFNAME"] == environment["NCCL_SOCKET_IFNAME"] == loopback
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["TUNE_DISABLE_SIGINT_HANDLER"] == "1"  # else it handles Ctrl-C itself


def test_cluster_keeps_its_network_interfaces(environment: dict[str, str]) -> None:
    environment["RAY_ADDRESS"] = "10.0.0.1:6379"
    set_ray_defaults()
    assert "GLOO_SOCKET_IFNAME" not in environment
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in environment
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"


def test_users_settings_win(environment: dict[str, str]) -> None:
    environment |= {"RAY_USAGE_STATS_ENABLED": "1", "GLOO_SOCKET_IFNAME": "eth1"}
    set_ray_defaults()
    assert environment["RAY_USAGE_STATS_ENABLED"] == "1"
    assert environment["GLOO_SOCKET_IFNAME"] == "eth1"
