"""The cluster files, as Ray itself checks them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.event_logger import AutoscalerEventLogger
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

from hhmnet_platform.cluster.resources import nodes_when_grown

CLUSTER = Path(__file__).parents[2] / "cluster"
Config = dict[str, Any]


def checked(config: Config) -> None:
    """Raises as `ray up` would."""
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.fixture
def aws() -> Config:
    config: Config = yaml.safe_load((CLUSTER / "cluster.yaml").read_text())
    return config


@pytest.mark.parametrize("file", sorted(CLUSTER.glob("*.yaml")), ids=lambda file: file.name)
def test_ray_takes_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CLUSTER)
    checked(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("file", sorted(CLUSTER.glob("*.yaml")), ids=lambda file: file.name)
@pytest.mark.parametrize("key", ["setup_commands", "file_mounts"])
def test_ray_refuses_a_typing_error(file: Path, key: str) -> None:
    config = yaml.safe_load(file.read_text())
    config[key[:-1]] = config.pop(key)
    with pytest.raises(Exception, match=f"'{key[:-1]}' was unexpected|{key[:-1]}"):
        checked(config)


def misspelt(config: Config) -> None:
    config["available_node_types"]["gpu_spot"]["max_worker"] = 2


def fractional(config: Config) -> None:
    config["available_node_types"]["cpu"]["resources"]["CPU"] = 1.5


def no_such_head(config: Config) -> None:
    config["head_node_type"] = "heads"


def too_few(config: Config) -> None:
    config["available_node_types"]["gpu_on_demand"]["min_workers"] = 5


@pytest.mark.parametrize("spoil", [misspelt, fractional, no_such_head, too_few])
def test_ray_refuses_what_is_wrong_in_a_node_type(
    aws: Config, spoil: Callable[[Config], None]
) -> None:
    checked(aws)
    spoil(aws)
    with pytest.raises(Exception, match=r"max_worker|1\.5|head_node_type|min_workers"):
        checked(aws)


def settings(config: Config) -> dict[str, str]:
    """The environment that Ray is started with."""
    lines = "\n".join(config["setup_commands"]).splitlines()
    exported = (line.strip().removeprefix("export ") for line in lines if "export " in line[:8])
    return dict(line.split("  #")[0].split("=", 1) for line in exported)


def test_runs_are_told_what_the_cluster_grows_to(
    aws: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_NODES", settings(aws)["HHMNET_NODES"])
    types = [one for name, one in aws["available_node_types"].items() if name != "head"]
    grown = [
        (one["resources"]["CPU"], one["resources"].get("GPU", 0))
        for one in types
        for _ in range(one["max_workers"])
    ]
    assert sorted(nodes_when_grown()) == sorted(grown)
    assert aws["max_workers"] == len(grown)


def test_head_trains_nothing_and_is_not_preempted(aws: Config) -> None:
    head = aws["available_node_types"][aws["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    assert "--num-cpus=0" in aws["head_start_ray_commands"][-1]
    assert all(
        one["min_workers"] == 0 for one in aws["available_node_types"].values() if one is not head
    )


def test_everything_is_behind_the_token_and_on_loopback(aws: Config) -> None:
    told = settings(aws)
    assert told["RAY_AUTH_MODE"] == "token"
    assert told["RAY_worker_niceness"] == "0"
    assert told["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
    assert "--dashboard-host=127.0.0.1" in aws["head_start_ray_commands"][-1]
    assert "~/.ray/auth_token" in aws["file_mounts"]
    for command in (*aws["head_start_ray_commands"], *aws["worker_start_ray_commands"]):
        assert command.startswith(". ~/.hhmnet.env && ")


def test_everything_that_travels_is_there(aws: Config) -> None:
    """And what the package needs travels: `pip install -e .` reads README.md."""
    mounts = {there: here for there, here in aws["file_mounts"].items() if "hhmnet" in there}
    assert all((CLUSTER / here).exists() for here in mounts.values())
    needed = {"README.md", "constraints.txt", "pyproject.toml", "hhmnet_core", "platform"}
    assert needed <= {there.removeprefix("~/hhmnet/") for there in mounts}


def asked_for(config: Config, sold_out: tuple[str, ...] = (), cpu_alone: bool = False) -> set[str]:
    """The kinds of node that Ray's autoscaler takes for eight workers, each with a GPU."""
    configs = AutoscalingConfig(config, skip_content_hash=True)
    each = {"CPU": 1} if cpu_alone else {"CPU": 8, "GPU": 1}
    wanted = [ResourceRequestUtil.make(each)] * 8
    reply = ResourceDemandScheduler(AutoscalerEventLogger(MagicMock())).schedule(
        SchedulingRequest(
            node_type_configs=configs.get_node_type_configs(),
            resource_requests=ResourceRequestUtil.group_by_count(wanted),
            disable_launch_config_check=True,
            max_num_nodes=configs.get_max_num_nodes(),
            recoverable_resource_availabilities=dict.fromkeys(sold_out, 0.0),
        )
    )
    return {launch.instance_type for launch in reply.to_launch} - {"head"}


def test_autoscaler_takes_the_nodes_that_are_meant(aws: Config) -> None:
    assert asked_for(aws) == {"gpu_on_demand"}
    assert asked_for(aws, cpu_alone=True) == {"cpu"}
    aws["available_node_types"]["gpu_spot"]["max_workers"] = 2
    assert asked_for(aws) == {"gpu_spot"}
    assert asked_for(aws, sold_out=("gpu_spot",)) == {"gpu_on_demand"}
