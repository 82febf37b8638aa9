"""A study of Optuna in a file of the workspace."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hhmnet_core.errors import InputError

if TYPE_CHECKING:
    import optuna


def open_study(name: str, place: Path, about: Mapping[str, Any]) -> "optuna.Study":
    """The study of that name, made if need be; what was under way when it broke off waits again.

    Args:
        name: The study's.
        place: The folder of its file.
        about: What it searches, and what its trials have in common.

    Raises InputError where it has searched another space or another config.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(place / "study.journal")))
    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
    about = json.loads(json.dumps(about))
    known = study.user_attrs.get("about")
    if known is None:
        study.set_user_attr("about", about)
    elif known != about:
        said = ", ".join(_differing(known, about))
        raise InputError(
            f"The study {name} exists with another {said}: give another --study, or what it was "
            "begun with."
        )
    running = [t for t in study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]
    for trial in running:
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)
    return study


def _differing(known: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    """What differs: of the config, its fields."""
    differ = [key for key in about if key != "config" and known.get(key) != about[key]]
    ours, theirs = about.get("config", {}), known.get("config", {})
    return differ + sorted(key for key in ours if theirs.get(key) != ours[key])
