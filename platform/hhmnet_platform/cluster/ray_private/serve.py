"""The gRPC server of Ray Serve's replicas."""

from typing import Any

from ray.serve._private import replica


def listen_on(host: str) -> None:
    """Let the gRPC server that this replica starts next listen on one address, not on all.

    Serve opens it for calls between replicas that are not made by Ray's own way.

    Args:
        host: The address, such as 127.0.0.1.
    """
    name = "add_port_to_grpc_server"
    bind = getattr(replica, name)

    def bind_host(server: Any, address: str) -> int:
        port: int = bind(server, address.replace("[::]", host))
        return port

    setattr(replica, name, bind_host)
