"""Copies of models that MLflow holds, found by the addresses that MLflow uses."""

import hashlib
import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hhmnet_core.deploy.description import DESCRIPTION
from hhmnet_core.deploy.folders import read_description, read_weights
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_reading
from hhmnet_platform.tracking.queries import NO_SUCH_RUN as NO_SUCH_THING
from hhmnet_platform.tracking.uri import database_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

MAX_BYTES = 4 << 30  # of all models in the cache
KEPT_SECONDS = 3600.0  # since its last use, in which a model is not removed
_MAX_LISTED = 10
_EXPECTED = (
    "expected models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID of a logged model, or runs:/ID"
)


def is_mlflow_address(given: str) -> bool:
    """Return whether a text is an address of MLflow, such as models:/NAME/1."""
    return given.startswith(("models:", "runs:"))


def download_model(uri: str, given: str) -> str:
    """Return a local folder with a model that MLflow holds.

    It is downloaded once, into `$HHMNET_CACHE` or `~/.cache/hhmnet`, and its checksums are
    compared each time. Models that were used longest ago make room for others.

    Args:
        uri: MLflow tracking URI.
        given: models:/NAME/VERSION, models:/NAME/latest, models:/NAME@ALIAS, models:/ID of a logged
            model, runs:/ID or runs:/ID/model.

    Raises:
        InputError: MLflow cannot answer, holds no such model, or one that is not of this platform.
    """
    database = database_of(uri)
    if database is not None and not database.exists():
        raise InputError(
            f"There is no {database}, where {given} should be: check --workspace, or give "
            "--tracking_uri."
        )
    with open_for_reading(uri) as client:
        place = _location(client, uri, given)
        cache = NodeCache.at(None)
        name = hashlib.sha256(place.encode()).hexdigest()[:32]
        target = cache.root / "models" / name
        with cache.lock(f"model-{name}"):
            if not _is_whole(target):
                _download(uri, place, target, given, cache)
            with suppress(OSError):
                os.utime(target)  # the time of its last use
    make_room(cache, target)  # without its lock, so that two processes never wait for each other
    return str(target)


def make_room(cache: NodeCache, used: Path) -> None:
    """Remove the models that were used longest ago, while all take more than `MAX_BYTES`.

    Args:
        cache: The cache.
        used: Folder of a model that is kept, as all are that were used lately.
    """
    with suppress(OSError):  # of another user, or removed by another process
        found = sorted((each.stat().st_mtime, each) for each in used.parent.iterdir())
        sizes = {model: _size(model) for _, model in found}
        total = sum(sizes.values())
        for last_use, model in found:
            if total <= MAX_BYTES or time.time() - last_use < KEPT_SECONDS:
                return
            if model == used:
                continue
            with cache.lock(f"model-{model.name}"):
                shutil.rmtree(model)
            total -= sizes[model]


def _size(model: Path) -> int:
    return sum(each.stat().st_size for each in model.rglob("*") if each.is_file())


def _location(client: "MlflowClient", uri: str, given: str) -> str:
    """Return where the artifacts of a model are."""
    if match := re.fullmatch(r"runs:/([^/@]+)(?:/model/?)?", given):
        return _of_run(client, uri, match[1]).artifact_location
    if match := re.fullmatch(r"models:/(m-[0-9a-f]{32})", given):
        return _logged(client, uri, match[1])
    match = re.fullmatch(r"models:/([^/]+)/(\d+|latest)", given)
    alias = re.fullmatch(r"models:/([^/]+)@([^/@]+)", given)
    if not (match or alias):
        raise InputError(f"{given} is no address of a model in MLflow: {_EXPECTED}.")
    named = match or alias
    assert named is not None
    source = _registered(client, uri, named[1], *(("", named[2]) if match else (named[2], "")))
    if match := re.fullmatch(r"models:/(m-[0-9a-f]{32})", source):
        return _logged(client, uri, match[1])
    return source


def _registered(client: "MlflowClient", uri: str, name: str, alias: str, number: str) -> str:
    """Return the source of a version of a registered model."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != NO_SUCH_THING:
            raise
        known = [each.name for each in client.search_registered_models(max_results=100)]
        listed = ", ".join(sorted(known)[:_MAX_LISTED]) or "none"
        raise InputError(
            f"MLflow at {uri} has no registered model {name}: it has {listed}."
        ) from error
    versions = sorted(
        (int(each.version) for each in client.search_model_versions(f"name = '{_plain(name)}'")),
        reverse=True,
    )
    if number == "latest" and versions:
        number = str(versions[0])
    if alias:
        number = str(model.aliases.get(alias, ""))
    if not number.isdigit() or int(number) not in versions:
        listed = ", ".join(map(str, versions[:_MAX_LISTED])) or "none"
        aliases = ", ".join(f"{each} ({at})" for each, at in sorted(model.aliases.items()))
        raise InputError(
            f"MLflow at {uri} has no {f'alias {alias}' if alias else f'version {number}'} of "
            f"{name}: it has the versions {listed} and the aliases {aliases or 'none'}."
        )
    return str(client.get_model_version_download_uri(name, number))


def _of_run(client: "MlflowClient", uri: str, run_id: str) -> "LoggedModel":
    """Return the newest logged model of a run or of the one that it is listed under."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in (NO_SUCH_THING, "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError(f"MLflow at {uri} has no run {run_id}: check the id.") from error
    for owner in (run_id, run.data.tags.get(tags.MLFLOW_PARENT)):
        found = owner and [
            each
            for each in client.search_logged_models(
                [run.info.experiment_id], f"source_run_id = '{owner}'"
            )
            if each.status == "READY" and tags.MODEL_DIGEST in each.tags
        ]
        if found:
            return max(found, key=lambda each: each.creation_timestamp)
    raise InputError(
        f"MLflow at {uri} holds no model of run {run_id}: give the run's own command again, which "
        "logs it. Trials of a search have none."
    )


def _logged(client: "MlflowClient", uri: str, model_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_logged_model(model_id).artifact_location)
    except MlflowException as error:
        if error.error_code != NO_SUCH_THING:
            raise
        raise InputError(f"MLflow at {uri} has no logged model {model_id}.") from error


def _plain(name: str) -> str:
    """Return a name that can stand between single quotes; those of this platform hold none."""
    return name.replace("'", "")


def _is_whole(model: Path) -> bool:
    """Return whether a folder holds a model whose files match their checksums."""
    if not model.exists():
        return False
    try:
        read_weights(model, read_description(model))
    except AccessError:
        raise
    except InputError:
        return False
    return True


def _download(uri: str, place: str, target: Path, given: str, cache: NodeCache) -> None:
    """Copy the model's own files, without the code that MLflow has beside them."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    new = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with cache.usable():
        new.mkdir(parents=True)
    try:
        try:
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"{place.rstrip('/')}/data", dst_path=str(new), tracking_uri=uri
            )
        except MlflowException as error:
            if error.error_code not in (NO_SUCH_THING, "INVALID_PARAMETER_VALUE"):
                raise
        found = sorted(new.rglob(DESCRIPTION))
        if not found:
            raise InputError(
                f"{given} of MLflow at {uri} is no model of this platform (no {DESCRIPTION} in its "
                "data): give one that a run, a fusion or an ensemble has logged."
            )
        read_weights(found[0].parent, read_description(found[0].parent))
        with cache.usable():
            shutil.rmtree(target, ignore_errors=True)
            os.replace(found[0].parent, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
