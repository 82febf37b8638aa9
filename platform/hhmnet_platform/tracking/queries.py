"""Queries of MLflow for the runs of this platform."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_platform.members import FUSION, TRAINED
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_reading
from hhmnet_platform.tracking.experiments import find_experiment
from hhmnet_platform.tracking.uri import database_of, run_page

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NO_SUCH_RUN = "RESOURCE_DOES_NOT_EXIST"  # error code of MLflow


@dataclass(frozen=True)
class MemberRun:
    """An MLflow run that holds one trained member (a modality, or video) of a run.

    Attributes:
        run_id: MLflow id.
        page: Path of its page behind the address of MLflow's web server.
        status: RUNNING, FINISHED, FAILED or KILLED.
        run: Name of the run that the member belongs to.
        member: Modality, or "video".
        phase: "phase1" or "phase2".
        dataset: Name of the data set.
        selection: "val", "literature" or a fold.
        guide: Name of the phase-1 run that guided it. "" for none.
    """

    run_id: str
    page: str
    status: str
    run: str
    member: str
    phase: str
    dataset: str
    selection: str
    guide: str


def member_runs(uri: str, experiment: str, filter_string: str = "") -> list[MemberRun]:
    """Return the trained members of all runs of an experiment, whatever their status.

    Args:
        uri: MLflow tracking URI.
        experiment: Name of the experiment.
        filter_string: MLflow search filter. "" for all runs.

    Returns:
        The newest first.

    Raises InputError where MLflow cannot answer, the experiment is missing, or MLflow refuses the
    filter.
    """
    database = database_of(uri)
    if database is not None and not database.exists():
        raise InputError(
            f"There is no {database}: nothing has been tracked there. Check --workspace, or give "
            "--tracking_uri."
        )
    with open_for_reading(uri) as client:
        known = find_experiment(client, experiment)
        if known is None:
            raise InputError(
                f"MLflow at {uri} has no experiment {experiment!r}; it has {_experiments(client)}."
            )
        runs = list(_all_runs(client, known.experiment_id, filter_string))
    ours = [run for run in runs if run.data.tags.get(tags.PHASE) in TRAINED]
    return [_member_run(run) for run in ours if run.data.tags[tags.MODALITY] != FUSION]


def run_name_of(uri: str, run_id: str) -> str:
    """Return the name of the run that an MLflow run belongs to.

    Raises InputError where MLflow cannot answer, or holds no run of this platform with a usable
    name under that id.
    """
    from mlflow.exceptions import MlflowException

    with open_for_reading(uri) as client:
        try:
            return check_name(str(client.get_run(run_id).data.tags[tags.RUN]))
        except (MlflowException, KeyError) as error:
            if isinstance(error, MlflowException) and error.error_code != NO_SUCH_RUN:
                raise
            raise InputError(f"MLflow at {uri} holds no run {run_id} of this platform.") from error


def is_deleted(client: "MlflowClient", run_id: str) -> bool:
    """Return whether a run is in MLflow's trash, or no longer there at all."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "deleted")
    except MlflowException as error:
        if error.error_code != NO_SUCH_RUN:
            raise
        return True


def runs_with_tag(
    client: "MlflowClient", experiment_id: str, tag: str, value: str
) -> Iterator["Run"]:
    """Yield the runs of an experiment that have a value of a tag, the newest first."""
    # MLflow's filters know no escapes: a value with both quotes is looked for in all runs.
    quotes = [mark for mark in ("'", '"') if mark not in value and not value.endswith("\\")]
    filter_string = f"tags.`{tag}` = {quotes[0]}{value}{quotes[0]}" if quotes else ""
    for run in _all_runs(client, experiment_id, filter_string):
        if run.data.tags.get(tag) == value:  # some databases ignore case
            yield run


def _experiments(client: "MlflowClient") -> str:
    names = sorted(each.name for each in client.search_experiments())
    return ", ".join(name for name in names if name != "Default") or "none"


def _all_runs(client: "MlflowClient", experiment_id: str, filter_string: str) -> Iterator["Run"]:
    """Yield the runs of all pages of a search, the newest first."""
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string,
            page_token=token,
            order_by=["attributes.start_time DESC"],
        )
        yield from page
        token = page.token
        if not token:
            return


def _member_run(run: "Run") -> MemberRun:
    run_tags = run.data.tags
    return MemberRun(
        run_id=run.info.run_id,
        page=run_page(run.info.experiment_id, run.info.run_id),
        status=run.info.status,
        run=run_tags[tags.RUN],
        member=run_tags[tags.MODALITY],
        phase=run_tags[tags.PHASE],
        dataset=run_tags[tags.DATASET],
        selection=run_tags[tags.SELECTION],
        guide=run_tags.get(tags.GUIDE, ""),
    )
