"""Raw files of a data set: in a folder, in a zip, or in the zips of a folder, at any URI."""

import errno
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from hhmnet_core.checks.memory import check_file_memory
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, folder, split_uri

# Files that systems leave beside those of a user: macOS in zips and on foreign disks, Windows.
_JUNK = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.I)
_READ_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True)
class FileKind:
    """A kind of files of a data set.

    Attributes:
        pattern: Regular expression for the whole path of such a file.
        name: Name of the kind for messages, such as "NTU skeletons".
        example: Name of such a file, for messages.
    """

    pattern: re.Pattern[str]
    name: str
    example: str

    def groups(self, path: str) -> tuple[str, ...]:
        """Return the groups that the pattern finds in the path of such a file."""
        match = self.pattern.fullmatch(path)
        assert match
        return match.groups()


class Archive:
    """The files of one kind, by name. It can be pickled; each process opens its own zips.

    Args:
        uri: A zip, or a folder that is searched at any depth, including inside its zips.
        kind: Kind of the files.

    Attributes:
        names: Sorted names: paths in the folder or zip; for a zip in a folder, behind its path.
        sizes: Size in bytes of each file, by name; with its checksum if it is in a zip.
        is_zip: True if `uri` is itself a zip.

    Raises:
        InputError: Nothing at `uri`, a damaged zip, or no matching files.
        AccessError: Files that cannot be read at present.
    """

    def __init__(self, uri: str, kind: FileKind) -> None:
        self.uri = uri
        self._zips: dict[str, zipfile.ZipFile] = {}
        self._folder, self._zip_name, sizes = _locate(uri, kind)
        self.is_zip = bool(self._zip_name)
        self.sizes: dict[str, str] = {}
        for path, size in sizes.items():
            if _JUNK.fullmatch(path):
                continue
            if self.is_zip or path.endswith(".zip"):
                self.sizes |= self._member_sizes(path, kind.pattern)
            elif kind.pattern.fullmatch(path):
                self.sizes[path] = str(size)
        self.names = sorted(self.sizes)
        if not self.names:
            raise InputError(f"{uri} holds no {kind.name}: expected files like {kind.example}.")

    def close(self) -> None:
        """Close the open zips; reading opens them again."""
        for opened in self._zips.values():
            opened.close()
        self._zips = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zips": {}}

    def read(self, name: str, expansion: int = 1) -> bytes:
        """Return a file's content.

        Args:
            name: Name of the file.
            expansion: Largest number of bytes in memory that the content's reader makes of one.

        Raises:
            InputError: A file that is unreadable or beyond the limit of memory; the message names
                it.
        """
        size = int(self.sizes[name].partition(":")[0])
        check_file_memory(expansion * size, f"{name} in {self.uri}")
        with self._read_errors(name), self._open(name) as file:
            return file.read()

    def quick_fingerprint(self) -> str:
        """Return the sha256 (hex) of names, sizes and zip checksums; no file is read."""
        lines = "".join(f"{name}\0{self.sizes[name]}\n" for name in self.names)
        return hashlib.sha256(lines.encode()).hexdigest()

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the zip, or of the names and contents of all files."""
        digest = hashlib.sha256()
        if self.is_zip:
            with self._read_errors(), self._folder.open(self._zip_name) as file:
                digest.update(_sha256(file))
            return digest.hexdigest()
        for name in self.names:
            with self._read_errors(name), self._open(name) as file:
                digest.update(name.encode() + _sha256(file))
        return digest.hexdigest()

    def _member_sizes(self, path: str, pattern: re.Pattern[str]) -> dict[str, str]:
        """Return size and checksum of the matching files in a zip."""
        prefix = "" if self.is_zip else f"{path}/"
        return {
            prefix + member.filename: f"{member.file_size}:{member.CRC:08x}"
            for member in self._zip(path).infolist()
            if pattern.fullmatch(member.filename) and not _JUNK.fullmatch(member.filename)
        }

    def _zip(self, path: str) -> zipfile.ZipFile:
        """Return a zip of the folder, opened once per process."""
        if path not in self._zips:
            location = self._folder.at(path)
            try:
                self._zips[path] = zipfile.ZipFile(self._folder.fs.open(location, "rb"))
            except (zipfile.BadZipFile, OSError, RuntimeError) as error:
                _refuse_unreadable(location, error)
                raise InputError(
                    f"{location} is not a whole zip file ({error}): it is cut off, damaged or "
                    "something else; get it again."
                ) from error
        return self._zips[path]

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        path, is_member, member = name.partition(".zip/")
        if self.is_zip:
            opened = self._zip(self._zip_name).open(name)
        elif is_member:
            opened = self._zip(f"{path}.zip").open(member)
        else:
            with self._folder.open(name) as file:
                yield file
            return
        with opened:
            yield opened

    @contextmanager
    def _read_errors(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except _READ_ERRORS as error:
            what = f"{name} in {self.uri}" if name else self.uri
            _refuse_unreadable(what, error)
            raise InputError(f"{what} cannot be read ({error}): get it again.") from error


def _locate(uri: str, kind: FileKind) -> tuple[Folder, str, dict[str, int]]:
    """Return the folder, the zip's name if `uri` is a zip (else ""), and file sizes by path."""
    location = folder(uri)
    missing = f"There is nothing at {uri}: expected {kind.name}."
    try:
        files = location.fs.find(location.path, detail=True)
    except FileNotFoundError as error:
        raise InputError(missing) from error
    except Exception as error:
        raise AccessError(f"Cannot list {uri} ({error}): check the address.") from error
    root = location.path.rstrip("/")
    if list(files) == [root]:
        parent, zip_name = split_uri(uri.rstrip("/"))
        return parent, zip_name, {zip_name: 0}
    if not files and not location.fs.exists(location.path):
        raise InputError(missing)
    sizes = {str(path)[len(root) :].lstrip("/"): info["size"] for path, info in files.items()}
    return location, "", sizes


def _refuse_unreadable(what: str, error: Exception) -> None:
    """Raise AccessError where a file cannot be read at present, other than for its content.

    A damaged zip makes `zipfile` seek to impossible places (EINVAL).
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.ENOENT):
        raise AccessError(
            f"{what} cannot be read ({error.strerror or error}): check the disk, the connection "
            "and your rights there, and try again."
        ) from error


def _sha256(file: IO[bytes]) -> bytes:
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
