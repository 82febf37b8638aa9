"""Where Optuna keeps a study: a journal, which is a file, or a database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line, without_password
from hhmnet_platform.storage.line_files import read_lines

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "study.journal"
_POSTGRESQL = re.compile(r"postgres(ql)?(?=://)")


@dataclass(frozen=True)
class StudyStorage:
    """An open storage.

    Attributes:
        backend: Optuna's storage.
        place: File or URL for messages, without a password.
    """

    backend: "BaseStorage"
    place: str


def open_storage(place: str, folder: Path) -> StudyStorage:
    """Open the storage of a search.

    Args:
        place: URL of a database, or path of a journal. "" for a journal in the folder.
        folder: Folder of the search.

    A record that a power cut or a full disk has cut off from a journal is left out, with a notice.

    Raises InputError where a journal is damaged before its end or cannot be written, or a database
    cannot be reached.
    """
    if "://" in place:
        return StudyStorage(_open_database(place), without_password(place))
    file = Path(place).expanduser().absolute() if place else folder / JOURNAL
    return StudyStorage(_open_journal(file), str(file))


@contextmanager
def storage_errors(storage: StudyStorage) -> Iterator[None]:
    """Raise InputError, without a password, where a database fails in the block."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise InputError(
            f"The database {storage.place} failed ({_cause(error)}): the same command continues "
            "the search once it answers."
        ) from error


def _open_journal(file: Path) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if file.is_dir() or not file.parent.is_dir():
        raise InputError(
            f"--storage {file} is no file in a folder that exists: give the path of a journal, "
            "such as /shared/study.journal, or the URL of a database, such as postgresql://..."
        )
    # Optuna appends to a record that was cut off, and can then never open the journal again. What
    # it appends first is that the study exists.
    read_lines(file, b'{"op_code":', lambda record: record.get("op_code") == 0)
    try:
        return JournalStorage(JournalFileBackend(str(file)))
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise InputError(
            f"{file} is damaged ({type(error).__name__}: {error}): restore it from a copy, or give "
            "another --study."
        ) from error


def _open_database(url: str) -> "BaseStorage":
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    if not find_spec("psycopg2"):  # which is what SQLAlchemy takes by default
        url = _POSTGRESQL.sub("postgresql+psycopg", url, count=1)
    try:
        # A connection that the server closed between two trials is opened again.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        raise InputError(
            f"The database {without_password(url)} needs a driver that is not installed "
            f"({one_line(error)[:200]}): for PostgreSQL, `pip install 'psycopg[binary]'`."
        ) from error
    except (SQLAlchemyError, StorageInternalError, RuntimeError, ValueError) as error:
        raise InputError(
            f"The database {without_password(url)} cannot be opened ({_cause(error)}): check the "
            "URL of --storage, and that the server accepts it."
        ) from error


def _cause(error: BaseException) -> str:
    return one_line(error.__cause__ or error)[:300]
