"""Optuna studies in files of the workspace."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_platform.search.config import StudyIdentity
from hhmnet_platform.storage.line_files import read_lines
from hhmnet_platform.storage.run_identity import RunIdentity

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.journal"
_IDENTITY = "about"  # user attribute of the study


def open_study(
    name: str, path: Path, identity: StudyIdentity, first: RunIdentity
) -> "optuna.Study":
    """Open a study or create it. Trials that were interrupted are queued again.

    Args:
        name: Name of the study.
        path: Folder of its file.
        identity: Values that decide a trial's result beside the searched ones.
        first: Identity of the run without searched fields.

    A record that a power cut or a full disk has cut off is left out, with a notice.

    Raises InputError where the study has searched another space or another config, or its file is
    damaged before its end.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna appends to a record that was cut off, and can then never open the journal again. What
    # it appends first is that the study exists.
    read_lines(path / JOURNAL, b'{"op_code":', lambda record: record.get("op_code") == 0)
    try:
        storage = JournalStorage(JournalFileBackend(str(path / JOURNAL)))
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise InputError(
            f"{path / JOURNAL} is damaged ({type(error).__name__}: {error}): restore it from a "
            "copy, or give another --study."
        ) from error
    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
    plain = json.loads(json.dumps(asdict(identity)))
    recorded = study.user_attrs.get(_IDENTITY)
    if recorded is None:
        study.set_user_attr(_IDENTITY, plain)
    elif differing := _differing(recorded, plain, first):
        raise InputError(
            f"The study {name} exists with another {', '.join(differing)}: give another --study, "
            f"or the values that it was started with, which are in {path / JOURNAL}."
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
