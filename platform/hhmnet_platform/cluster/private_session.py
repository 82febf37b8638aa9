"""The session folder and the token of a Ray that is started here, closed to other users.

Ray's own folder, /tmp/ray, is open to everyone (0777), and its token file to whoever the umask lets
read. Both let another user of the machine run commands as this one.
"""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.reaper import reaper

PREFIX = "hhm-"
LOCK = ".lock"
SESSION = "r"  # within the folder: Ray opens the one that it is given to everyone
TOKEN = "RAY_AUTH_TOKEN"
# The system's limit on the path of a socket, 107 bytes on Linux and 103 on macOS, less what is
# appended: /hhm-abcdefgh/r/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store
LONGEST_BASE = 103 - 80


@contextmanager
def private_session() -> Iterator[str]:
    """Yield the path of a folder for the session of a local Ray, where only this user may enter.

    In the block, Ray finds a token of its own in the environment, and writes none to a file. The
    folder is removed at the end, and with it those that killed processes have left.

    Raises InputError where neither RAY_TMPDIR nor a folder for temporary files can hold the folder.
    """
    from hhmnet_platform.cluster.ray_private.tokens import forget_token  # imports Ray

    base = _base()
    _remove_abandoned(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))  # 0700
    lock = FileLock(folder / LOCK)
    lock.acquire()
    before = os.environ.get(TOKEN)
    token = secrets.token_hex(32)
    try:
        with reaper(token, folder):  # whose own environment is without the token
            os.environ[TOKEN] = token
            forget_token()
            yield str(folder / SESSION)
    finally:
        if before is None:
            os.environ.pop(TOKEN, None)
        else:
            os.environ[TOKEN] = before
        forget_token()
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def write_token(session: str) -> Path:
    """Write the token of a session, as `private_session` yields it, to a file for its user."""
    file = Path(session).with_name("token")
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(os.environ[TOKEN])
    return file


def protect_token_file() -> None:
    """Close ~/.ray/auth_token, if there is one, to other users, whoever made it."""
    with suppress(OSError, RuntimeError):  # not this user's, or no home
        file = Path.home() / ".ray" / "auth_token"
        if file.exists():
            for path, mode in ((file, 0o600), (file.parent, 0o700)):
                if stat.S_IMODE(path.stat().st_mode) & 0o077:
                    path.chmod(mode)


def _base() -> Path:
    """Return the folder for temporary files: $RAY_TMPDIR, $TMPDIR where short enough, or /tmp."""
    given = os.environ.get("RAY_TMPDIR")
    if given is None:
        usual = tempfile.gettempdir()
        short = len(os.fsencode(usual)) <= LONGEST_BASE
        if not short and not os.access("/tmp", os.W_OK | os.X_OK):
            raise InputError(
                f"The folder for temporary files, TMPDIR={usual}, is longer than {LONGEST_BASE} "
                "bytes, too long for the sockets that Ray puts there, and /tmp cannot be written: "
                "set RAY_TMPDIR to a short path to a local folder that you may write to."
            )
        return Path(usual if short else "/tmp")
    base = Path(given)
    reason = ""
    if not base.is_absolute():
        reason = "is not an absolute path"
    elif not base.is_dir():
        reason = "is not a folder"
    elif not os.access(base, os.W_OK | os.X_OK):
        reason = "cannot be written"
    elif len(os.fsencode(given)) > LONGEST_BASE:
        reason = (
            f"is longer than {LONGEST_BASE} bytes, too long for the sockets that Ray puts there"
        )
    if reason:
        raise InputError(
            f"RAY_TMPDIR={given} {reason}: give a short path to a local folder that you may write "
            "to, or unset it for /tmp."
        )
    return base


def _remove_abandoned(base: Path) -> None:
    """Remove the folders of this user's processes that were killed: nobody holds their lock."""
    for folder in base.glob(f"{PREFIX}*"):
        lock = FileLock(folder / LOCK)
        with suppress(OSError, Timeout):
            if folder.stat().st_uid == os.getuid() and (folder / LOCK).exists():
                with lock.acquire(timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
