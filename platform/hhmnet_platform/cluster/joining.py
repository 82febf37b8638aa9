"""Joining a Ray cluster that is running, with its token, and noticing one that needs none."""

import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.ray_environment import cluster_address

OPEN_CLUSTER = (
    "warning: this Ray cluster has no token: whoever reaches its ports runs commands as its user. "
    "Start it again after `ray get-auth-token --generate && chmod 600 ~/.ray/auth_token`."
)
_CONNECT_SECONDS = 10


def join_cluster(address: str, log_workers: bool = False) -> None:
    """Connect this process to a cluster.

    Args:
        address: An `ip:port`, a `ray://` or "auto".
        log_workers: Print what the processes on the cluster print for this one.

    Raises InputError where no cluster answers, or where its token is missing or another.
    """
    import ray
    from ray.exceptions import AuthenticationError, RayError

    from hhmnet_platform.cluster.ray_private import addresses

    _check_token()
    try:
        found = addresses.canonicalize_bootstrap_address("auto") if address == "auto" else address
        _check_reachable(str(found))
        if not address.startswith("ray://"):
            _check_accepted(str(found))
        ray.init(address=found, log_to_driver=log_workers, logging_level=logging.ERROR)
    except AuthenticationError as error:
        raise InputError(
            f"The Ray cluster at RAY_ADDRESS={address} asks for its token: set "
            "RAY_AUTH_MODE=token, and put the token into ~/.ray/auth_token or RAY_AUTH_TOKEN."
        ) from error
    except (OSError, RayError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"No Ray cluster can be joined at RAY_ADDRESS={address} ({reason}): start one with "
            "`ray start --head`, or unset RAY_ADDRESS to run on this machine."
        ) from error


def is_open_cluster() -> bool:
    """Return whether Ray here is a joined cluster that other machines command without a token.

    A process that has a token is taken to be on a cluster that asks for it.
    """
    if cluster_address() is None:
        return False
    import ray

    from hhmnet_platform.cluster.ray_private import tokens

    if tokens.is_token_auth_enabled():
        return False
    hosts = [str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]]
    if not all(ipaddress.ip_address(host).is_loopback for host in hosts):
        return True
    # Ray listens on all interfaces even where its nodes have the loopback's address.
    _, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((ray.util.get_node_ip_address(), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _check_token() -> None:
    """Raise InputError where RAY_AUTH_MODE asks for a token that is nowhere to be found."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and not _has_token():
        raise InputError(
            "RAY_AUTH_MODE=token, but there is no token: put the cluster's into ~/.ray/auth_token "
            "(and `chmod 600` it) or RAY_AUTH_TOKEN."
        )


def _has_token() -> bool:
    from hhmnet_platform.cluster.ray_private.tokens import has_token

    return has_token()


def _check_reachable(address: str) -> None:
    """Raise OSError at once where Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        connection = (host.strip("[]"), int(port))
        socket.create_connection(connection, timeout=_CONNECT_SECONDS).close()


def _check_accepted(address: str) -> None:
    """Raise AuthenticationError at once where Ray would try for half a minute."""
    from hhmnet_platform.cluster.ray_private.addresses import GcsClient

    with _no_native_logs():
        GcsClient(address=address)


@contextmanager
def _no_native_logs() -> Iterator[None]:
    """Drop what Ray's native code writes to stderr in the block: the exception has it all."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
