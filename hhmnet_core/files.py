"""Files at any fsspec URI, with errors of one line.

A URI is a local path (`~` too) or one that fsspec opens: `s3://bucket/folder`, `memory://name`.
"""

import errno
import glob
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hhmnet_core.checks.memory import check_file_memory, check_free_memory
from hhmnet_core.disk_space import is_disk_full, write_advice
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.passwords import without_password

_READ_ADVICE = "check the address, the connection and your rights there"
# A path that leads to no file, whatever the state of the disk or the connection.
_NO_SUCH_PLACE = {errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs"}


@dataclass(frozen=True)
class Folder:
    """A folder at a URI.

    Attributes:
        uri: URI as the user gave it, without a password, for messages.
        fs: File system.
        path: Path in the file system, without the protocol.
    """

    uri: str
    fs: Any
    path: str

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a local file system."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def _is_bucket(self) -> bool:
        # Object stores have no folders; "making" one would make a bucket out of a typing error.
        protocol = self.fs.protocol
        return bool(_OBJECT_STORES & ({protocol} if isinstance(protocol, str) else set(protocol)))

    def at(self, name: str) -> str:
        """Return the path of a file or folder in it, without the protocol."""
        if "\0" in name:
            raise InputError(f"{name!r} in {self.uri} holds a zero byte: no file has such a name.")
        return f"{self.path.rstrip('/')}/{name}"

    @property
    def is_file(self) -> bool:
        """Whether there is a file in place of the folder."""
        with self._readable("look at", ""):
            return bool(self.fs.isfile(self.path))

    def names(self) -> list[str]:
        """Return the sorted names of its files and folders. Empty where it does not exist."""
        with self._readable("list", ""):
            if not self.fs.exists(self.path):
                return []
            return sorted(
                str(path).rstrip("/").split("/")[-1] for path in self.fs.ls(self.path, False)
            )

    def walk(self) -> list[str]:
        """Return the sorted paths of all files at any depth. Empty where it does not exist."""
        root = self.path.rstrip("/")
        with self._readable("list", ""):
            found = self.fs.find(root) if self.fs.isdir(root) else []
        return sorted(str(path).removeprefix(root).lstrip("/") for path in found)

    def read(self, name: str, expansion: int = 0) -> bytes:
        """Return the content of a file.

        Args:
            name: Name of the file.
            expansion: Largest number of bytes in memory that the content's reader makes of one.
                0: the file has no limit but the free memory.

        Raises FileNotFoundError where there is none, InputError for a folder, an impossible path or
        a file beyond the limit of memory, AccessError for any other failure.
        """
        with self.open(name) as file:
            size, what = getattr(file, "size", None) or 0, f"{name} in {self.uri}"
            if expansion:
                check_file_memory(expansion * size, what)
            else:
                check_free_memory(size, what)
            return bytes(file.read())

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading. Raises as `read` does."""
        if self.is_local:
            _check_regular(self.at(name))
        with self._readable("read", name), self.fs.open(self.at(name), "rb") as file:
            yield file

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, None if unknown. Raises as `read` does."""
        with self._readable("look at", name):
            size: int | None = self.fs.size(self.at(name))
            return size

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file at any depth, by its path. Empty without any."""
        root = self.path.rstrip("/")
        with self._readable("list", ""):
            found = self.fs.find(root, detail=True) if self.fs.isdir(root) else {}
        return {
            str(path).removeprefix(root).lstrip("/"): int(each["size"] or 0)
            for path, each in found.items()
        }

    def version(self, name: str) -> str:
        """Return a token that changes with the file (local: size, time, inode; S3: the ETag)."""
        with self._readable("look at", name):
            return str(self.fs.checksum(self.at(name)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically: a reader sees the old content or the new one."""
        with self._writable(name):
            if self.is_local:
                write_local(Path(self.at(name)), content)
            else:
                if not self._is_bucket:
                    self.fs.makedirs(self.path, exist_ok=True)
                self.fs.pipe_file(self.at(name), content)

    def remove(self, name: str) -> None:
        """Remove a file in it."""
        with self._writable(name):
            self.fs.rm_file(self.at(name))

    def remove_folder(self, name: str) -> None:
        """Remove a folder in it and its content."""
        with self._writable(name):
            path = self.at(name)
            # All but local file systems take a name such as a* for a pattern.
            self.fs.rm(path if self.is_local else glob.escape(path), recursive=True)

    @contextmanager
    def _readable(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            self._refuse(doing, name, f"{_READ_ADVICE}, and try again", error)

    @contextmanager
    def _writable(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._refuse("write", name, self._write_advice(error), error)

    def _refuse(self, doing: str, name: str, advice: str, error: Exception) -> None:
        # A remote file system raises its library's own errors (botocore, gcsfs), which all concern
        # the user's URI. Of a local one only OSError does.
        if isinstance(error, InputError) or (self.is_local and not isinstance(error, OSError)):
            raise error
        what = f"{name} in {self.uri}" if name else self.uri
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        kind = InputError if getattr(error, "errno", None) in _NO_SUCH_PLACE else AccessError
        raise kind(f"Cannot {doing} {what} ({reason}): {advice}.") from error

    def _write_advice(self, error: Exception) -> str:
        if is_disk_full(error) and not self.is_local:
            return "free some space there"
        return write_advice(self.path, error)


def folder(uri: str | os.PathLike[str]) -> Folder:
    """Return the folder at a URI. It need not exist.

    Raises:
        InputError: An empty URI, an unknown protocol, or one whose library is not installed.
    """
    address = os.fspath(uri)
    _check_address(address)
    _check_no_user(address)
    try:
        # A cached listing hides files that another process has written since.
        fs, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(f"Cannot open {address}: {error}.") from error
    return Folder(without_password(address), fs, str(path))


def split_uri(uri: str | os.PathLike[str]) -> tuple[Folder, str]:
    """Return the folder and the name of a file at a URI."""
    _check_address(os.fspath(uri))
    head, _, name = os.fspath(uri).rpartition("/")
    if not name:
        raise InputError(f"{os.fspath(uri)} is a folder: expected a file.")
    parent = head or ("/" if os.fspath(uri).startswith("/") else ".")
    return folder(parent), name


def locate(base: Folder, path: str) -> tuple[Folder, str]:
    """Return folder and name of a file given by URI, or by path from a folder."""
    return split_uri(path) if "://" in path or path.startswith("/") else (base, path)


def _check_no_user(address: str) -> None:
    """Raise InputError for a user or password in the address of a bucket, which has none."""
    protocol, _, rest = address.partition("://")
    if protocol in _OBJECT_STORES and "@" in rest.partition("/")[0]:
        raise InputError(
            f"{without_password(address)} holds a user or a password, which addresses of buckets "
            "do not: give them in the environment or in the files of the cloud's own tools."
        )


def _check_address(address: str) -> None:
    if not address.strip():
        raise InputError("An empty location was given: expected a path or a URI such as s3://...")
    if "\0" in address:
        raise InputError(f"{address!r} holds a zero byte: no file or folder has such a name.")


def _check_regular(path: str) -> None:
    """Raise InputError for a pipe or a device, which may hold any number of bytes, or none ever."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # opening it reports that
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path} is a pipe or a device: expected a file.")


@contextmanager
def local_access(path: str | os.PathLike[str], doing: str = "read") -> Iterator[None]:
    """Turn the system's errors about a local file in the block into AccessError.

    FileNotFoundError passes where the file is read.

    Args:
        path: The file.
        doing: "read" or "write".
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and doing == "read":
            raise
        advice = f"{_READ_ADVICE}, and try again" if doing == "read" else write_advice(path, error)
        raise AccessError(
            f"Cannot {doing} {path} ({error.strerror or error}): {advice}."
        ) from error


def write_local(path: Path, content: bytes) -> None:
    """Write a local file by way of a temporary one beside it, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
