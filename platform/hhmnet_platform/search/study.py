"""Optuna studies: created, or continued where they are of the same search."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_platform.search.config import StudyIdentity
from hhmnet_platform.search.storage import StudyStorage
from hhmnet_platform.storage.run_identity import RunIdentity

if TYPE_CHECKING:
    import optuna

_IDENTITY = "about"  # user attribute of the study


def open_study(
    name: str, storage: StudyStorage, identity: StudyIdentity, first: RunIdentity
) -> "optuna.Study":
    """Open a study or create it. Trials that were interrupted are queued again.

    Args:
        name: Name of the study.
        storage: Where it is kept.
        identity: Values that decide a trial's result beside the searched ones.
        first: Identity of the run without searched fields.

    Raises InputError where the study has searched another space or another config.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name, storage=storage.backend, direction="maximize", load_if_exists=True
    )
    plain = json.loads(json.dumps(asdict(identity)))
    recorded = study.user_attrs.get(_IDENTITY)
    if recorded is None:
        study.set_user_attr(_IDENTITY, plain)
    elif differing := _differing(recorded, plain, first):
        raise InputError(
            f"The study {name} exists with another {', '.join(differing)}: give another --study, "
            f"or the values that it was started with, which are in {storage.place}."
        )
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING":
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)
    return study


def _differing(recorded: JsonObject, plain: JsonObject, first: RunIdentity) -> list[str]:
    """Return the names of the entries that differ; for the config, its fields."""
    settings = [key for key in plain if key != "config" and recorded.get(key) != plain[key]]
    return settings + first.differing(recorded.get("config", {}))
