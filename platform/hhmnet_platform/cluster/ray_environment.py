"""The environment variables that Ray reads: which cluster to join, and quiet, private defaults."""

import os
import sys

from hhmnet_core.errors import InputError


def cluster_address() -> str | None:
    """Return $RAY_ADDRESS, which `ray job submit` sets; None where Ray is to be started here.

    Raises InputError for the address of a dashboard.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address.startswith("http"):
        raise InputError(
            f"RAY_ADDRESS={address} is a dashboard, which only accepts jobs: run `ray job submit "
            "-- python ...`, or unset RAY_ADDRESS to run on this machine."
        )
    return address if address not in ("", "local") else None


def set_ray_defaults() -> None:
    """Set Ray's environment variables, unless the user has, before it is imported."""
    defaults = {
        "RAY_USAGE_STATS_ENABLED": "0",  # no usage statistics
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its new behaviour, without the warning
        # Ray's own 15 starves the workers beside any other work on the machine.
        "RAY_worker_niceness": "0",
        "RAY_AIR_NEW_OUTPUT": "0",  # Tune's new output ignores verbose=0
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the whole command
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # delay until a finished epoch is seen
        # The display shows one line where Ray logs ten, or fifty for a lost node.
        "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed while executing"
        r"|Raylet is terminated|has been marked dead|raylet has lagging heartbeats|^ +\[\d{4}-",
    }
    if not sys.stdout.isatty():
        defaults["RAY_COLOR_PREFIX"] = "0"  # of the lines of --log_workers
    if cluster_address() is None:
        # Unless Ray may span machines, it takes the loopback for the address of this one; else
        # its processes listen on all interfaces. "0" means that it may not; it is the default on
        # the operating systems in the name.
        defaults["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        defaults |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
