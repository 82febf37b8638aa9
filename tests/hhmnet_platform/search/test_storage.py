"""Storages of studies: files and databases that can be opened, and those that cannot."""

import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from hhmnet_core.errors import InputError
from hhmnet_platform.search import storage
from hhmnet_platform.search.storage import open_storage, storage_errors


def ask(opened: storage.StudyStorage) -> int:
    """Add a trial to the study, and return how many there are."""
    study = optuna.create_study(study_name="mine", storage=opened.backend, load_if_exists=True)
    study.tell(study.ask({"x": FloatDistribution(0, 1)}), 0.5)
    return len(study.trials)


def test_study_is_a_journal_in_the_folder_of_the_search(tmp_path: Path) -> None:
    opened = open_storage("", tmp_path)
    assert ask(opened) == 1
    assert opened.place == str(tmp_path / "study.journal")
    assert (tmp_path / "study.journal").exists()


def test_journal_may_be_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(open_storage("shared.journal", tmp_path / "search")) == 1
    opened = open_storage(str(tmp_path / "shared.journal"), tmp_path / "another")
    assert ask(opened) == 2 and opened.place == str(tmp_path / "shared.journal")


@pytest.mark.parametrize("place", ["no/such.journal", "."])
def test_journal_that_cannot_be_is_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"--storage .* is no file in a folder that exists: give"):
        open_storage(place, tmp_path)


def test_database_continues(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    assert ask(open_storage(url, tmp_path)) == 1
    assert ask(open_storage(url, tmp_path)) == 2


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nosql://me:hidden@host/db", r"cannot be opened \(.*nosql.*\): check the URL"),
        ("oracle+cx_oracle://me:hidden@host/db", "needs a driver that is not installed"),
        ("sqlite:////no/such/folder/studies.db", r"cannot be opened \(.*unable to open"),
    ],
)
def test_database_that_cannot_be_opened_is_one_line_without_its_password(
    url: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        open_storage(url, tmp_path)
    assert "hidden" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(("given", "has_psycopg2"), [("postgresql", False), ("postgres", False),
                                                     ("postgresql", True)])  # fmt: skip
def test_driver_of_postgresql_is_the_installed_one(
    given: str, has_psycopg2: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []
    monkeypatch.setattr(storage, "find_spec", lambda name: has_psycopg2 or None)
    monkeypatch.setattr(optuna.storages, "RDBStorage", lambda url, **options: urls.append(url))
    opened = open_storage(f"{given}://me:hidden@host/db", tmp_path)
    assert urls == [f"postgresql{'' if has_psycopg2 else '+psycopg'}://me:hidden@host/db"]
    assert opened.place == f"{given}://host/db"


def test_database_that_fails_later_is_one_line_too(tmp_path: Path) -> None:
    opened = open_storage(f"sqlite:///{tmp_path / 'studies.db'}", tmp_path)
    ask(opened)
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("DROP TABLE trials")
    with pytest.raises(InputError, match=r"studies.db failed \(.*: the same command continues"):
        with storage_errors(opened):
            ask(opened)
