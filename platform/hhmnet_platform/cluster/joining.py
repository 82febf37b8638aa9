"""Joining a Ray cluster that is running."""

import logging
import socket

from hhmnet_core.errors import InputError


def join_cluster(address: str) -> None:
    """Connect this process to the cluster at an address.

    Raises InputError where no cluster answers.
    """
    import ray

    try:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"No Ray cluster can be joined at RAY_ADDRESS={address} ({error}): start one with "
            "`ray start --head`, or unset RAY_ADDRESS to run on this machine."
        ) from error


def _check_reachable(address: str) -> None:
    """Raise OSError at once where Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
