"""Whole files at any fsspec URI, with errors that a user can read.

A URI is a plain local path (`~` too) or what fsspec knows: `s3://bucket/folder`, `memory://name`.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hhmnet_core.errors import InputError

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs"}


@dataclass(frozen=True)
class Folder:
    """A folder at a URI.

    Attributes:
        uri: As the user gave it, for messages.
        fs: The file system that holds it.
        path: Its path there, without the protocol.
    """

    uri: str
    fs: Any
    path: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    @property
    def _is_bucket(self) -> bool:
        # Object stores have no folders; "making" one would make a bucket out of a typing error.
        protocol = self.fs.protocol
        return bool(_OBJECT_STORES & ({protocol} if isinstance(protocol, str) else set(protocol)))

    def at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"

    def names(self) -> list[str]:
        """The names of the files and folders in it, sorted; none where it does not exist."""
        with self._readable("list", ""):
            if not self.fs.exists(self.path):
                return []
            return sorted(str(at).rstrip("/").split("/")[-1] for at in self.fs.ls(self.path, False))

    def read(self, name: str) -> bytes:
        """All of a file. Raises FileNotFoundError where there is none, InputError for the rest."""
        with self.open(name) as file:
            return bytes(file.read())

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file to read parts of; raises as `read` does."""
        with self._readable("read", name), self.fs.open(self.at(name), "rb") as file:
            yield file

    def size(self, name: str) -> int | None:
        """Its bytes, None where the place does not tell. Raises as `read` does."""
        with self._readable("look at", name):
            size: int | None = self.fs.size(self.at(name))
            return size

    def version(self, name: str) -> str:
        """Changes when the file's content may have (local: size, time, inode; S3: the ETag)."""
        with self._readable("look at", name):
            return str(self.fs.checksum(self.at(name)))

    def write(self, name: str, content: bytes) -> None:
        """Writes a file so that a reader sees the old one or the new one whole, never a part."""
        with self._writable(name):
            if self.is_local:
                write_local(Path(self.at(name)), content)
            else:
                if not self._is_bucket:
                    self.fs.makedirs(self.path, exist_ok=True)
                self.fs.pipe_file(self.at(name), content)

    def remove(self, name: str) -> None:
        with self._writable(name):
            self.fs.rm(self.at(name))

    def remove_folder(self, name: str) -> None:
        """Removes a folder in it, with all that it holds."""
        with self._writable(name):
            self.fs.rm(self.at(name), recursive=True)

    @contextmanager
    def _readable(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            self._refuse(doing, name, "check the address and your rights there", error)

    @contextmanager
    def _writable(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._refuse("write", name, "give a place that you may write to", error)

    def _refuse(self, doing: str, name: str, advice: str, error: Exception) -> None:
        # A remote file system raises its library's own errors (botocore, gcsfs): all are about
        # the place the user gave. Of a local one only OSError is.
        if isinstance(error, InputError) or (self.is_local and not isinstance(error, OSError)):
            raise error
        what = f"{name} in {self.uri}" if name else self.uri
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"Cannot {doing} {what} ({said}): {advice}.") from error


def folder(uri: str | os.PathLike[str]) -> Folder:
    """The folder at a URI, which need not exist yet.

    Raises:
        InputError: An empty URI, an unknown protocol, or one whose library is not installed.
    """
    given = os.fspath(uri)
    if not given.strip():
        raise InputError("An empty location was given: expected a path or a URI such as s3://...")
    try:
        # A listing kept from before hides what another process has written since.
        fs, path = fsspec.core.url_to_fs(given, use_listings_cache=False)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(f"Cannot open {given}: {error}.") from error
    return Folder(given, fs, str(path))


def split_uri(uri: str | os.PathLike[str]) -> tuple[Folder, str]:
    """The folder and the name of a file at a URI."""
    head, _, name = os.fspath(uri).rpartition("/")
    if not name:
        raise InputError(f"{os.fspath(uri)} is a folder: expected a file.")
    parent = head or ("/" if os.fspath(uri).startswith("/") else ".")
    return folder(parent), name


def write_local(path: Path, content: bytes) -> None:
    """Writes a local file by way of a temporary one beside it, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
