"""Serving a model: from the options to a server that is running, and its end."""

import importlib.util
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_core.poses.estimators import choose_estimator
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.serving.devices import choose_device
from hhmnet_platform.serving.server.job import ServeJob
from hhmnet_platform.serving.server.tokens import Token, choose_token, is_loopback
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace, absolute_uri

_PACKAGES = ("grpc_reflection", "python_multipart", "starlette", "uvicorn")  # of the extra `serve`
_NAME = "hhmnet"
_CONNECTIONS = 1024
_GRACE_SECONDS = 3  # for answers that are on their way when the server ends
_BYTES_PER_MB = 1_000_000
_LONGEST = 300  # characters of an error of a replica


def run_serve(job: ServeJob) -> None:
    """Serve a model until an interrupt.

    Raises InputError for anything the user can cause.
    """
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"Ray Serve is not installed ({missing[0]} is missing): install this package with the "
            "extra `serve`."
        )
    if address := cluster_address():
        raise InputError(
            f"RAY_ADDRESS={address} is a cluster, but `hhmnet serve` serves from this machine with "
            "a Ray of its own: unset RAY_ADDRESS."
        )
    place = find_model(job.model, Workspace(absolute_uri(job.workspace)), job.tracking_uri)
    # Loaded here once, so that a damaged model is one line instead of replicas that fail.
    choose_device(job.device)
    model = load_model(place, without_video=job.without_video).description
    with listen(job.host, job.port) as listener:
        token = choose_token(listener.getsockname()[0], job.token_file)
        with ray_session() as resources:
            handles = deploy(job, place, model, resources)
            with _running(job, model, handles, listener, token) as ended:
                _announce(place, model, listener, token)
                ended.wait()
    raise RuntimeError("The server has ended by itself.")


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address until the end of the block.

    Raises InputError for one that cannot be listened on.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"Cannot listen on --host {host} --port {port} ({one_line(error)}): end what listens "
            "there, or give another port, such as --port 0 for a free one, or an address of this "
            "machine."
        ) from error
    with listener:
        yield listener


def deploy(
    job: ServeJob, place: str, model: ModelDescription, resources: Resources
) -> tuple[Any, Any]:
    """Start the deployments, and return the handles of the model and of the reader of files.

    Raises InputError where there are too few CPUs, or the replicas do not start.
    """
    if job.replicas > resources.cpus:
        raise InputError(
            f"--replicas {job.replicas} need a CPU each, but {resources}: give fewer replicas."
        )
    from ray import serve
    from ray.serve.schema import LoggingConfig

    from hhmnet_platform.serving.server.deployments import Networks, Recordings

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    logs = LoggingConfig(log_level="WARNING", enable_access_log=False)
    # No proxies: the application runs in this process, which keeps limits while it reads a body.
    serve.start(proxy_location="Disabled", logging_config=logs)
    gpus = resources.gpus if job.device != "cpu" else 0
    actor = {
        "num_cpus": max(1, resources.cpus // job.replicas),
        "num_gpus": min(1.0, gpus / job.replicas),
    }
    model_replicas, reader_of_files = cast(Any, Networks), cast(Any, Recordings)
    networks = model_replicas.options(
        num_replicas=job.replicas, ray_actor_options=actor, logging_config=logs
    ).bind(
        place, job.without_video, job.device, job.batch, job.batch_ms / 1000, job.max_frames
    )  # fmt: skip
    recordings = reader_of_files.options(
        ray_actor_options={"num_cpus": 0}, logging_config=logs
    ).bind(model, choose_estimator(job.estimator), job.max_bodies, job.max_frames)
    applications = {"networks": networks, "recordings": recordings}
    targets = [
        serve.RunTarget(each, f"{_NAME}-{name}", route_prefix=None)
        for name, each in applications.items()
    ]
    try:
        first, second = serve.run_many(targets)
        return first, second
    except RuntimeError as error:
        found = [
            one_line(each.message)[-_LONGEST:]  # the error itself is at its end
            for application in serve.status().applications.values()
            for each in application.deployments.values()
            if each.message
        ]
        raise InputError(
            f"The model cannot be served: {' '.join(found) or one_line(error)}"
        ) from error


@contextmanager
def _running(
    job: ServeJob,
    model: ModelDescription,
    handles: tuple[Any, Any],
    listener: socket.socket,
    token: Token | None,
) -> Iterator[threading.Event]:
    """Run the HTTP server on a thread of its own until the end of the block.

    The event is set where it ends before.
    """
    import uvicorn

    from hhmnet_platform.serving.server.answers import Answers
    from hhmnet_platform.serving.server.application import Application, Limits
    from hhmnet_platform.serving.server.connections import PatientProtocol
    from hhmnet_platform.serving.server.predictor import ServedPredictor

    limits = Limits(job.max_mb * _BYTES_PER_MB, job.max_seconds, job.max_frames)
    predictor = ServedPredictor(*handles, job.batch, job.max_seconds)
    application = Application(Answers(model), predictor, limits, token)
    config = uvicorn.Config(
        application.asgi,
        loop="asyncio",
        http=PatientProtocol,  # h11, which bounds the size of headers
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server, ended = uvicorn.Server(config), threading.Event()

    def serve_requests() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ended.set()

    thread = threading.Thread(target=serve_requests, name="http", daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        server.should_exit = True
        thread.join(2 * _GRACE_SECONDS)


def _announce(
    place: str, model: ModelDescription, listener: socket.socket, token: Token | None
) -> None:
    """Print what is served, where, and the token if it was made just now."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"Model    {place} ({len(model.class_names)} actions, {model.layout})")
    print(f"Serving  http://{shown}:{port} until Ctrl-C")
    if token is None:
        print(
            "note: there is no token: every user of this machine can send recordings. Set "
            "HHMNET_SERVE_TOKEN to ask for one."
        )
    elif token.is_made:
        print(f"Token    {token.value}")
    if not is_loopback(host):
        print(
            "note: tokens and recordings cross the network unencrypted: put a proxy with TLS "
            "in front, or use a network that you trust."
        )
    print(end="", flush=True)
