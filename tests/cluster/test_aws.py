"""`ray up cluster.yaml` and what it stands on, against moto's EC2, IAM and CloudFormation.

Nothing leaves this machine: the API is moto's, on loopback, and ssh is a script that notes how it
was called and fails.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
import yaml
from cfnlint.api import lint
from moto.server import ThreadedMotoServer
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.aws.utils import client_cache, resource_cache
from ray.autoscaler._private.util import prepare_config

# moto makes neither: cfn-lint alone has seen them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Tried to parse AWS..(S3..BucketPolicy|EC2..SecurityGroupEgress)"
)
CLUSTER = Path(__file__).parents[2] / "cluster"
STACK = CLUSTER / "aws" / "stack.yaml"
PLACEHOLDER = "sg-00000000000000000"
SSH_FROM = "203.0.113.7/32"
NO_SSH = """#!/bin/sh
echo "$(basename $0) $*" >> "$HOME/calls"
exit 255
"""


@dataclass(frozen=True)
class Account:
    """An AWS account of this test's own, with the stack in it."""

    security_group: str
    workspace: str
    vpc: str

    def instances(self) -> list[dict[str, Any]]:
        reservations = boto3.client("ec2").describe_instances()["Reservations"]
        return [instance for each in reservations for instance in each["Instances"]]

    def config(self) -> dict[str, Any]:
        """cluster.yaml with what the stack says."""
        text = (CLUSTER / "cluster.yaml").read_text()
        config: dict[str, Any] = yaml.safe_load(text.replace(PLACEHOLDER, self.security_group))
        return config


@pytest.fixture
def account(free_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    server = ThreadedMotoServer("127.0.0.1", free_port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-west-2",
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bin").mkdir()
    for name in ("ssh", "rsync", "scp"):
        (tmp_path / "bin" / name).write_text(NO_SSH)
        (tmp_path / "bin" / name).chmod(0o755)
    # What moto holds, it holds for the whole process.
    urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
    boto3.setup_default_session()
    resource_cache.cache_clear()
    client_cache.cache_clear()
    vpc = boto3.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    stacks = boto3.client("cloudformation")
    stacks.create_stack(
        StackName="hhmnet",
        TemplateBody=STACK.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": "VpcId", "ParameterValue": vpc},
            {"ParameterKey": "SshFrom", "ParameterValue": SSH_FROM},
        ],
    )
    told = stacks.describe_stacks(StackName="hhmnet")["Stacks"][0]["Outputs"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in told}
    yield Account(outputs["SecurityGroupId"], outputs["Workspace"], vpc)
    server.stop()
    boto3.setup_default_session()
    resource_cache.cache_clear()
    client_cache.cache_clear()


def test_stack_is_sound_and_a_typing_error_is_not() -> None:
    text = STACK.read_text()
    assert [str(match) for match in lint(text, regions=["us-west-2"])] == []
    assert lint(text.replace("BucketEncryption", "BucketEncrypted"), regions=["us-west-2"])


def unquoted(node: yaml.nodes.Node, loader: yaml.SafeLoader) -> Any:
    """CloudFormation's tags, `!Sub x` as what stands behind them."""
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return str(node.value)


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


Template.add_multi_constructor("!", lambda loader, _, node: unquoted(node, loader))


def allowed() -> Iterator[tuple[str, str]]:
    """(Action, resource) of all that any role may do."""
    resources = yaml.load(STACK.read_text(), Template)["Resources"].values()
    for resource in resources:
        properties = resource["Properties"]
        policies = [properties, *properties.get("Policies", [])]
        if resource["Type"] not in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Role"):
            continue
        for policy in policies:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                assert statement["Effect"] == "Allow"
                actions, on = statement["Action"], statement["Resource"]
                for action in actions if isinstance(actions, list) else [actions]:
                    for one in on if isinstance(on, list) else [on]:
                        yield action, one


def test_roles_may_do_what_they_need_and_no_more() -> None:
    rights = set(allowed())
    assert {action for action, _ in rights} == {
        *("s3:ListBucket", "s3:GetBucketLocation"),
        *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
        *("ec2:DescribeInstances", "ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances"),
        *("ssm:GetParameters", "iam:PassRole"),
    }
    assert {action for action, on in rights if on == "*"} == {"ec2:DescribeInstances"}
    assert {on for action, on in rights if action.startswith("s3:")} == {
        "Bucket.Arn", "${Bucket.Arn}/*"
    }  # fmt: skip
    assert {on for action, on in rights if action == "iam:PassRole"} == {"WorkerRole.Arn"}


def test_firewall_lets_in_ssh_from_one_range_and_the_nodes_themselves(account: Account) -> None:
    (group,) = boto3.client("ec2").describe_security_groups(GroupIds=[account.security_group])[
        "SecurityGroups"
    ]
    let_in = {
        (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort")): (
            [each["CidrIp"] for each in rule["IpRanges"]],
            [each["GroupId"] for each in rule["UserIdGroupPairs"]],
        )
        for rule in group["IpPermissions"]
    }
    assert let_in == {
        ("tcp", 22, 22): ([SSH_FROM], []),
        ("-1", None, None): ([], [account.security_group]),
    }


@pytest.mark.parametrize("spot", [False, True])
def test_workers_start_with_their_own_role_behind_the_firewall(
    account: Account, spot: bool
) -> None:
    kind = "gpu_spot" if spot else "gpu_on_demand"
    config = bootstrap_aws(prepare_config(account.config()))
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    provider.create_node(
        config["available_node_types"][kind]["node_config"], {"ray-user-node-type": kind}, 1
    )
    (worker,) = account.instances()
    assert worker["IamInstanceProfile"]["Arn"].endswith("instance-profile/hhmnet-worker")
    assert [group["GroupId"] for group in worker["SecurityGroups"]] == [account.security_group]
    assert worker["InstanceType"] == "g6.12xlarge"
    assert worker["MetadataOptions"]["HttpTokens"] == "required"
    assert {"Key": "ray-cluster-name", "Value": "hhmnet"} in worker["Tags"]
    assert (worker.get("InstanceLifecycle") == "spot") is spot
    volumes = boto3.client("ec2").describe_volumes()["Volumes"]
    assert all(volume["Encrypted"] for volume in volumes)


@pytest.mark.integration
@pytest.mark.timeout(200)
def test_ray_up_starts_the_head(
    account: Account, tmp_path: Path, executable: Callable[[str], str]
) -> None:
    # Beside the files that it names by relative paths; `ray up` writes nothing there.
    config = account.config()
    config["file_mounts"] = {
        there: str((CLUSTER / here).resolve()) if "auth_token" not in there else here
        for there, here in config["file_mounts"].items()
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    up = subprocess.Popen(
        [executable("ray"), "up", "--yes", "--no-config-cache", "--disable-usage-stats", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    calls, ends = tmp_path / "calls", time.monotonic() + 120
    while not calls.exists() and up.poll() is None and time.monotonic() < ends:
        time.sleep(0.2)
    up.terminate()
    said, _ = up.communicate(timeout=60)
    assert calls.exists(), said
    (head,) = account.instances()
    tags = {tag["Key"]: tag["Value"] for tag in head["Tags"]}
    assert (tags["ray-cluster-name"], tags["ray-node-type"]) == ("hhmnet", "head")
    assert tags["ray-user-node-type"] == "head"
    assert head["IamInstanceProfile"]["Arn"].endswith("instance-profile/hhmnet-head")
    assert [group["GroupId"] for group in head["SecurityGroups"]] == [account.security_group]
    assert head["MetadataOptions"]["HttpTokens"] == "required"
    assert "InstanceLifecycle" not in head
    assert head["VpcId"] == account.vpc
    # It would go on by ssh, with a key that nobody else reads.
    assert f"ubuntu@{head['PublicIpAddress']}" in calls.read_text()
    (key,) = (tmp_path / ".ssh").glob("*.pem")
    assert key.stat().st_mode & 0o077 == 0
    # Ray made nothing of its own: no group that lets in the world, no role with full rights.
    assert boto3.client("iam").list_roles(PathPrefix="/")["Roles"][0]["RoleName"].startswith("hhm")
    groups = boto3.client("ec2").describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default", "hhmnet-cluster"}
