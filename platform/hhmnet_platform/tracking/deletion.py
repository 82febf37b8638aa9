"""What MLflow holds of a run of this platform, and its deletion."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_platform.members import FUSION
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_reading, open_for_writing
from hhmnet_platform.tracking.queries import runs_with_tag
from hhmnet_platform.tracking.uri import database_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class TrackedParts:
    """What MLflow holds of a run.

    Attributes:
        run_ids: Ids of its MLflow runs, the parent's and those of its members.
        models: Ids of its logged models.
        versions: Registered versions of these, as (name, version).
        aliases: Aliases of these versions, such as `hhmnet-nw_ucla@champion`.
    """

    run_ids: tuple[str, ...]
    models: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]

    def __str__(self) -> str:
        runs, models = (
            f"{len(ids)} {what}{'' if len(ids) == 1 else 's'}"
            for ids, what in ((self.run_ids, "run"), (self.models, "model"))
        )
        return f"{runs}, {models}"


def tracked_parts(uri: str, run: str, identity: Mapping[str, object]) -> TrackedParts:
    """Return what MLflow holds of a run; nothing where it has not been written to yet.

    Another run of the same name, such as that of another workspace on the same server, is not it.

    Args:
        uri: MLflow tracking URI.
        run: Name of the run.
        identity: All that decides its result, by dotted name.

    Raises InputError where MLflow cannot answer.
    """
    database = database_of(uri)
    if database is not None and not database.exists():
        return TrackedParts((), (), (), ())
    with open_for_reading(uri) as client:
        return _parts(client, run, {key: str(value) for key, value in identity.items()})


def delete_parts(uri: str, parts: TrackedParts) -> None:
    """Delete what MLflow holds of a run.

    From a database of a workspace it goes for good, with its artifacts. A server keeps it in its
    trash, from where `mlflow gc` removes it.

    Raises InputError where MLflow cannot be written to.
    """
    if not parts.run_ids:
        return
    with open_for_writing(uri) as client:
        for name, version in parts.versions:
            client.delete_model_version(name, version)
        for model in parts.models:
            client.delete_logged_model(model)
        for run_id in parts.run_ids:
            client.delete_run(run_id)
        if database_of(uri) is not None:
            _empty_trash(uri, parts)


def _parts(client: "MlflowClient", run: str, params: Mapping[str, str]) -> TrackedParts:
    run_ids: list[str] = []
    models: list[str] = []
    versions: list[tuple[str, str]] = []
    aliases: list[str] = []
    for experiment in client.search_experiments():
        known = list(runs_with_tag(client, experiment.experiment_id, tags.RUN, run))
        parents = {
            one.info.run_id
            for one in known
            if one.data.tags.get(tags.MODALITY) == FUSION
            and all(one.data.params.get(key, value) == value for key, value in params.items())
        }
        for one in known:
            run_id = one.info.run_id
            if not {run_id, one.data.tags.get(tags.MLFLOW_PARENT)} & parents:
                continue
            run_ids.append(run_id)
            models += [
                each.model_id
                for each in client.search_logged_models(
                    [experiment.experiment_id], f"source_run_id = '{run_id}'"
                )
            ]
            for each in client.search_model_versions(f"run_id = '{run_id}'"):
                versions.append((each.name, str(each.version)))
                named = client.get_registered_model(each.name).aliases
                aliases += [f"{each.name}@{a}" for a, at in named.items() if at == each.version]
    return TrackedParts(tuple(run_ids), tuple(models), tuple(versions), tuple(aliases))


def _empty_trash(uri: str, parts: TrackedParts) -> None:
    """Remove deleted runs and models, with their artifacts, by MLflow's own command."""
    command = [sys.executable, "-m", "mlflow", "gc"]
    command += [f"--backend-store-uri={uri}", f"--run-ids={','.join(parts.run_ids)}"]
    if parts.models:
        command.append(f"--logged-model-ids={','.join(parts.models)}")
    env = os.environ | {"MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"`mlflow gc` failed ({one_line(done.stderr[-500:])}): what was deleted is in the "
            f"trash of MLflow at {uri}."
        )
