"""Studies: the same search continues, another one is refused, interrupted trials wait again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.search.config import StudyIdentity
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.search.storage import open_storage
from hhmnet_platform.search.study import open_study
from hhmnet_platform.storage.run_identity import RunIdentity

RUN = RunIdentity(Phase1Config(data=DataConfig(store="/data/films")), "digest")
SPACE = {"contrast.temperature": Dimension(0.1, 0.5)}
STUDY = StudyIdentity(SPACE, grace=3, reduction=3, config=RUN.values)
DISTRIBUTIONS: dict[str, Any] = {"contrast.temperature": FloatDistribution(0.1, 0.5)}


def test_study_of_the_same_search_continues(tmp_path: Path) -> None:
    study = open_study("mine", open_storage("", tmp_path), STUDY, RUN)
    trial = study.ask(DISTRIBUTIONS)
    study.tell(trial, 0.5)
    again = open_study("mine", open_storage("", tmp_path), STUDY, RUN)
    assert [each.value for each in again.trials] == [0.5]
    assert (tmp_path / "study.journal").exists()


def test_interrupted_trials_wait_again(tmp_path: Path) -> None:
    trial = open_study("mine", open_storage("", tmp_path), STUDY, RUN).ask(DISTRIBUTIONS)
    again = open_study("mine", open_storage("", tmp_path), STUDY, RUN)
    states = [each.state for each in again.trials]
    assert states == [optuna.trial.TrialState.FAIL, optuna.trial.TrialState.WAITING]
    assert again.ask(DISTRIBUTIONS).params == trial.params


def test_study_of_another_search_is_refused(tmp_path: Path) -> None:
    open_study("mine", open_storage("", tmp_path), STUDY, RUN)
    for changes, name in (
        ({"space": {"contrast.temperature": Dimension(0.1, 0.4)}}, "space"),
        ({"grace": 2}, "grace"),
    ):
        with pytest.raises(InputError, match=f"The study mine exists with another {name}: give an"):
            open_study("mine", open_storage("", tmp_path), replace(STUDY, **changes), RUN)
    changed = RunIdentity(Phase1Config(optim=OptimConfig(lr=0.5)), "digest")
    with pytest.raises(InputError, match=r"exists with another optim\.lr: give another --study"):
        open_study(
            "mine", open_storage("", tmp_path), replace(STUDY, config=changed.values), changed
        )


def test_study_from_before_a_field_existed_continues(tmp_path: Path) -> None:
    recorded = RUN.values
    del recorded["augment.roll"]
    open_study("mine", open_storage("", tmp_path), replace(STUDY, config=recorded), RUN)
    open_study("mine", open_storage("", tmp_path), STUDY, RUN)


def finish(study: optuna.Study, value: float) -> None:
    trial = study.ask(DISTRIBUTIONS)
    trial.set_user_attr("run", f"run-{trial.number}")
    study.tell(trial, value)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a study with two finished trials."""
    path = tmp_path_factory.mktemp("study")
    study = open_study("mine", open_storage("", path), STUDY, RUN)
    finish(study, 0.5)
    finish(study, 0.75)
    return (path / "study.journal").read_bytes()


@pytest.mark.parametrize("tail", [b"", b"\0" * 512, b"\xff garbage"])
def test_study_cut_at_any_byte_of_its_last_record_continues(
    journal: bytes, tail: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begins = journal.rindex(b"\n", 0, -1) + 1
    step = 1 if not tail else 7
    for length in range(begins, len(journal) - 1, step):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "study.journal").write_bytes(journal[:length] + tail)
        study = open_study("mine", open_storage("", folder), STUDY, RUN)
        notices = capsys.readouterr().out.splitlines()
        assert len(notices) == (length > begins or bool(tail))
        assert [each.value for each in study.trials if each.value] == [0.5]
        finish(study, 0.9)  # the interrupted trial, which was queued again
        again = open_study("mine", open_storage("", folder), STUDY, RUN)
        assert [each.value for each in again.trials if each.value] == [0.5, 0.9]
        assert capsys.readouterr().out == ""


def test_study_that_was_opened_with_a_cut_record_before_continues(
    journal: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created = journal[: journal.index(b"\n") + 1]
    (tmp_path / "study.journal").write_bytes(journal[:-20] + created + created)
    study = open_study("mine", open_storage("", tmp_path), STUDY, RUN)
    assert [each.value for each in study.trials if each.value] == [0.5]
    assert "was cut off" in capsys.readouterr().out


def test_study_that_is_damaged_before_its_end_is_named(journal: bytes, tmp_path: Path) -> None:
    middle = len(journal) // 2
    (tmp_path / "study.journal").write_bytes(journal[:middle] + b"\0" + journal[middle:])
    with pytest.raises(InputError, match=r"of .*study\.journal cannot be read"):
        open_study("mine", open_storage("", tmp_path), STUDY, RUN)
