"""The address of a running cluster, and whether it accepts this process."""

from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient  # type: ignore[attr-defined]

__all__ = ["GcsClient", "canonicalize_bootstrap_address"]
