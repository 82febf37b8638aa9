"""The raw files of a data set: in a folder, in a zip, or in the zips of a folder, at any URI."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder, split_uri

_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class Archive:
    """The files of one kind, by name. Travels to other processes, each of which opens its own.

    Args:
        uri: A folder (searched at any depth, also inside the zips that lie in it) or a zip.
        pattern: What the whole path of such a file matches.
        expected: What belongs at `uri`, for messages, such as "the NW-UCLA zip".
        example: The name of such a file.

    Attributes:
        names: Their names, sorted: paths in the folder; in a zip of a folder behind its name.
        sizes: For each name its bytes and, in a zip, its checksum: changes when the file does.
        is_zip: Whether `uri` is a zip itself.

    Raises:
        InputError: Nothing there, a zip that is not whole, or none of the files in it.
    """

    def __init__(self, uri: str, pattern: re.Pattern[str], expected: str, example: str) -> None:
        self.uri = uri
        self._zips: dict[str, zipfile.ZipFile] = {}
        self.is_zip, self._place, files = self._look(uri, expected)
        self.sizes: dict[str, str] = {}
        for path, size in files.items():
            if self.is_zip or path.endswith(".zip"):
                prefix = "" if self.is_zip else f"{path}/"
                for member in self._zip(path).infolist():
                    if pattern.fullmatch(member.filename):
                        name = prefix + member.filename
                        self.sizes[name] = f"{member.file_size}:{member.CRC:08x}"
            elif pattern.fullmatch(path):
                self.sizes[path] = str(size)
        self.names = sorted(self.sizes)
        if not self.names:
            raise InputError(f"{uri} holds no {expected}: expected files like {example}.")

    def close(self) -> None:
        for opened in self._zips.values():
            opened.close()
        self._zips = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zips": {}}

    def read(self, name: str) -> bytes:
        """A file's content. Raises InputError, naming it, where it cannot be read."""
        with self._readable(name), self._open(name) as file:
            return file.read()

    def quick_fingerprint(self) -> str:
        """sha256 (hex) of all names, sizes and what checksums there are, without reading files."""
        said = "".join(f"{name}\0{self.sizes[name]}\n" for name in self.names)
        return hashlib.sha256(said.encode()).hexdigest()

    def fingerprint(self) -> str:
        """sha256 (hex) of the zip, or of the names and contents of all files."""
        digest = hashlib.sha256()
        if self.is_zip:
            with self._readable(""), self._place.open(self._only) as file:
                digest.update(_sha256(file))
            return digest.hexdigest()
        for name in self.names:
            with self._readable(name), self._open(name) as file:
                digest.update(name.encode() + _sha256(file))
        return digest.hexdigest()

    def _look(self, uri: str, expected: str) -> tuple[bool, Folder, dict[str, int]]:
        """Whether it is a zip; the folder; the files in the folder by path, with their sizes."""
        place = folder(uri)
        missing = f"There is nothing at {uri}: expected {expected}."
        try:
            found = place.fs.find(place.path, detail=True)
        except FileNotFoundError as error:
            raise InputError(missing) from error
        except Exception as error:
            raise InputError(f"Cannot list {uri} ({error}): check the address.") from error
        root = place.path.rstrip("/")
        if list(found) == [root]:  # a file
            place, self._only = split_uri(str(uri).rstrip("/"))
            self._zip_at(place, self._only)
            return True, place, {self._only: 0}
        if not found and not place.fs.exists(place.path):
            raise InputError(missing)
        sizes = {str(path)[len(root) :].lstrip("/"): at["size"] for path, at in found.items()}
        return False, place, sizes

    def _zip(self, path: str) -> zipfile.ZipFile:
        return self._zips.get(path) or self._zip_at(self._place, path)

    def _zip_at(self, place: Folder, path: str) -> zipfile.ZipFile:
        try:
            opened = zipfile.ZipFile(place.fs.open(place.at(path), "rb"))
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(
                f"{place.at(path)} is not a whole zip file ({error}): it is cut off, damaged or "
                "something else; get it again."
            ) from error
        self._zips[path] = opened
        return opened

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        path, in_a_zip, member = name.partition(".zip/")
        if self.is_zip:
            opened = self._zip(self._only).open(name)
        elif in_a_zip:
            opened = self._zip(f"{path}.zip").open(member)
        else:
            with self._place.open(name) as file:
                yield file
            return
        with opened:
            yield opened

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except _UNREADABLE as error:
            what = f"{name} in {self.uri}" if name else self.uri
            raise InputError(f"{what} cannot be read ({error}): get it again.") from error


def _sha256(file: IO[bytes]) -> bytes:
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
