"""Models in MLflow: logged to the run that they come from, registered, and downloaded again."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from hhmnet_core.deploy.description import DESCRIPTION, ModelDescription
from hhmnet_core.deploy.folders import read_description
from hhmnet_core.files import folder
from hhmnet_core.passwords import without_password
from hhmnet_core.store.protocols import fold_of
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.presentation.labels import markdown
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_writing, reason_of
from hhmnet_platform.tracking.experiments import find_experiment
from hhmnet_platform.tracking.mlflow_format import LOGGED_NAME, save_pyfunc
from hhmnet_platform.tracking.queries import runs_with_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

CHAMPION = "champion"  # alias of the last selected ensemble
_UPLOADS = 8  # files that are sent at a time
_LONGEST_NAME = 200  # characters of a registered model's name; MLflow's limit is 256
_REGISTERED = re.compile(r"models:/[^/]+/\d+")
Champion = Literal["keep", "fill", "move"]
# Error codes of a server that has no such function, or does not allow it to this user.
_REFUSED = {
    *("ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED", "PERMISSION_DENIED"),
    *("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST"),
}


@dataclass(frozen=True)
class TrackedModel:
    """A model that MLflow holds.

    Attributes:
        uri: Address in MLflow, `models:/<registered name>/<version>`, or `models:/<id>` for one
            that could not be registered. "" where MLflow takes no models.
        note: Reason why it is not registered, for the user. "" for none.
        is_champion: Whether the alias `champion` was moved to it.
    """

    uri: str
    note: str = ""
    is_champion: bool = False

    @property
    def lines(self) -> list[str]:
        """Lines for the terminal: its address, and the note."""
        alias = f", which is now the {CHAMPION}" if self.is_champion else ""
        place = "Registry" if _REGISTERED.fullmatch(self.uri) else "MLflow  "
        address = [f"{place} {self.uri}{alias}"] if self.uri else []
        return address + ([f"note: {self.note}"] if self.note else [])


@dataclass(frozen=True)
class _Source:
    """The folder of a model, and what MLflow shall hold of it."""

    uri: str
    described: ModelDescription
    digest: str

    @classmethod
    def read(cls, uri: str) -> "_Source":
        described = read_description(uri)
        return cls(uri, described, hashlib.sha256(folder(uri).read(DESCRIPTION)).hexdigest())

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the logged model and of its registered version."""
        described = self.described
        own = {
            tags.MODEL_DIGEST: self.digest,
            tags.MODEL_NAME: described.name,
            tags.MODEL_KIND: described.kind,
            tags.DATASET: described.dataset,
            tags.PROTOCOL: described.protocol,
            tags.SELECTION: described.selection,
            tags.DATA_DIGEST: described.digest,
        }
        figures = {f"{tags.PREFIX}{name}": f"{value:.6g}" for name, value in
                   described.figures.items()}  # fmt: skip
        return own | figures

    def note(self, run_id: str) -> str:
        """Return Markdown for the pages of the model of a run and of its registered version."""
        described = self.described
        networks = sum(each.weight > 0 for each in described.networks)
        return (
            f"Model of {described.kind} {markdown(described.name)}: "
            f"{networks} network{'s' if networks > 1 else ''}, trained on "
            f"{markdown(described.dataset)}, protocol {markdown(described.protocol)}.\n\n"
            f"To use it: `hhmnet predict --model runs:/{run_id} --input FILE`; `hhmnet test`, "
            "`serve` and `export` take the same `--model`."
        )


def log_model(
    client: "MlflowClient",
    experiment_id: str,
    run_id: str,
    uri: str,
    champion: Champion = "keep",
) -> TrackedModel:
    """Log a model to an MLflow run and register it; what MLflow holds already is left as it is.

    The model of a fold, which serves to score the clips that it was not trained on, is not
    registered: nobody should use it in place of the run's own.

    Nothing of it is pickled: MLflow gets the model's own files, the package hhmnet_core that reads
    them, and the versions that both need. The caller keeps other writers out.

    Args:
        client: Client of MLflow.
        experiment_id: Experiment of the run.
        run_id: MLflow id of the run.
        uri: Folder of the model.
        champion: Treatment of the alias `champion`: "keep" leaves it alone, "move" moves it to
            this model, "fill" gives it to a new version where no other has it.

    Raises:
        InputError: A model that cannot be read.
        MlflowException: MLflow cannot be written to. The same call then does the rest.
    """
    from mlflow.exceptions import MlflowException

    source = _Source.read(uri)
    try:
        logged = _log(client, experiment_id, run_id, source)
    except MlflowException as error:
        return TrackedModel("", f"MLflow takes no model ({_refusal(error)}).")
    if fold_of(source.described.selection):
        return TrackedModel(f"models:/{logged.model_id}")
    try:
        return _register(client, logged, source, champion)
    except MlflowException as error:
        note = f"MLflow holds the model, but did not register it ({_refusal(error)})."
        return TrackedModel(f"models:/{logged.model_id}", note)


def log_derived_model(
    uri: str, experiment: str, name: str, place: str, champion: Champion = "keep"
) -> TrackedModel:
    """Log the model of a fusion or an ensemble to its MLflow run and register it.

    Args:
        uri: MLflow tracking URI.
        experiment: Name of the experiment.
        name: Name of the fusion or ensemble.
        place: Folder of the model.
        champion: Treatment of the alias, as for `log_model`.

    Raises InputError where MLflow cannot be written to.
    """
    with open_for_writing(uri) as client:
        known = find_experiment(client, experiment)
        assert known is not None
        run = next(runs_with_tag(client, known.experiment_id, tags.DERIVED, name))
        return log_model(client, known.experiment_id, run.info.run_id, place, champion)


def registered_name(dataset: str) -> str:
    """Return the name of the registered model that holds the models of a data set.

    Characters that addresses of models cannot hold become -, followed by a hash of the whole name.
    """
    plain = re.sub(r"[^\w.-]", "-", dataset)[:_LONGEST_NAME]
    return f"hhmnet-{plain}" + ("" if plain == dataset else f"-{short_hash({'dataset': dataset})}")


def _log(client: "MlflowClient", experiment_id: str, run_id: str, source: _Source) -> "LoggedModel":
    """Return the logged model of a run with this content, logged first where there is none."""
    from mlflow.entities import LoggedModelOutput

    logged = _logged_model(client, experiment_id, run_id, source.digest)
    if logged is None:
        run = client.get_run(run_id)
        logged = client.create_logged_model(
            experiment_id,
            LOGGED_NAME,
            run_id,
            {**source.tags, tags.MLFLOW_NOTE: source.note(run_id)},
            run.data.params,
            model_type=source.described.kind,
        )
    if logged.status == "READY":
        return logged
    with TemporaryDirectory() as temporary:
        path = Path(temporary, LOGGED_NAME)
        save_pyfunc(
            source.uri,
            source.described,
            path,
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            run_id=run_id,
            model_id=logged.model_id,
        )
        _upload(client, logged.model_id, path)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    _link_metrics(client, run_id, logged.model_id)
    return client.finalize_logged_model(logged.model_id, "READY")


def _link_metrics(client: "MlflowClient", run_id: str, model_id: str) -> None:
    """Show a run's metrics of test, and the test clips, on the page of its model too."""
    from mlflow.entities import Metric

    run = client.get_run(run_id)
    test = next(
        (
            each.dataset
            for each in (run.inputs.dataset_inputs if run.inputs else ())
            if any(tag.value == "test" for tag in each.tags)
        ),
        None,
    )
    name, digest = (test.name, test.digest) if test else (None, None)
    metrics = [
        Metric(key, last.value, last.timestamp, last.step, model_id, name, digest)
        for key in run.data.metrics
        if key.startswith("test/")
        for last in client.get_metric_history(run_id, key)[-1:]
    ]
    client.log_batch(run_id, metrics)


def _upload(client: "MlflowClient", model_id: str, path: Path) -> None:
    """Write the files of a logged model, several at a time: most are small modules of the core."""

    def send(file: Path) -> None:
        parent = file.parent.relative_to(path).as_posix()
        client.log_model_artifact(model_id, str(file), None if parent == "." else parent)

    with ThreadPoolExecutor(_UPLOADS) as pool:
        for _ in pool.map(send, [each for each in sorted(path.rglob("*")) if each.is_file()]):
            pass


def _logged_model(
    client: "MlflowClient", experiment_id: str, run_id: str, digest: str
) -> "LoggedModel | None":
    """Return the logged model of a run with a content, a complete one if there is."""
    found = [
        each
        for each in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        if each.tags.get(tags.MODEL_DIGEST) == digest
    ]
    return next((each for each in found if each.status == "READY"), next(iter(found), None))


def _register(
    client: "MlflowClient", logged: "LoggedModel", source: _Source, champion: Champion
) -> TrackedModel:
    """Register a logged model, unless a version has its content already."""
    name = registered_name(source.described.dataset)
    number = _version_of(client, name, source.digest)
    moves = champion == "move"
    if number is None:
        _ensure_registered(client, name, source.described.dataset)
        made = client.create_model_version(
            name,
            logged.artifact_location,
            logged.source_run_id,
            source.tags,
            description=source.note(str(logged.source_run_id)),
            model_id=logged.model_id,
        )
        number = str(made.version)
        held = json.loads(logged.tags.get(tags.MLFLOW_VERSIONS, "[]"))
        versions = json.dumps([*held, {"name": name, "version": number}])
        client.set_logged_model_tags(logged.model_id, {tags.MLFLOW_VERSIONS: versions})
        if champion == "fill":
            moves = CHAMPION not in client.get_registered_model(name).aliases
    if moves:
        client.set_registered_model_alias(name, CHAMPION, number)
    return TrackedModel(f"models:/{name}/{number}", is_champion=moves)


def _version_of(client: "MlflowClient", name: str, digest: str) -> str | None:
    """Return the oldest version of a registered model with a content. None where there is none."""
    found = client.search_model_versions(
        f"name = '{name}' and tags.`{tags.MODEL_DIGEST}` = '{digest}'"
    )
    return min((str(each.version) for each in found), key=int, default=None)


def _ensure_registered(client: "MlflowClient", name: str, dataset: str) -> None:
    """Make a registered model where there is none; drivers may do so at once."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name, {tags.DATASET: dataset}, f"Models of actions of the data set {dataset}."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _refusal(error: Exception) -> str:
    """Return why MLflow refused something for good. Any other error is raised again."""
    if getattr(error, "error_code", "") not in _REFUSED:
        raise error
    return without_password(reason_of(error, ""))
