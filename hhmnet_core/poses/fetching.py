"""Fetching BlazePose's models out of MediaPipe's wheel: `make poses`.

The wheel comes from the package registry that pip is set up with. It is one and the same file on
every platform, and it is unpacked, not installed: MediaPipe asks for versions of NumPy and protobuf
that exclude ours, and only two of its files are needed.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hhmnet_core.disk_space import write_advice
from hhmnet_core.errors import InputError
from hhmnet_core.files import write_local
from hhmnet_core.passwords import one_line
from hhmnet_core.poses.models import MODEL_FILES, ModelFile, is_whole, models_folder

WHEEL = "mediapipe==0.10.21"
_PLATFORM = (
    "--platform=manylinux_2_28_x86_64",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
)


def fetch_models() -> Path:
    """Download the models that are missing or damaged, and return their folder.

    Raises:
        InputError: The registry has no such wheel, the wheel holds other models, or the folder
            cannot be written.
    """
    folder = models_folder()
    if missing := [file for file in MODEL_FILES if not _is_there(file, folder)]:
        with tempfile.TemporaryDirectory() as temporary:
            wheel = _download_wheel(Path(temporary))
            contents = {file: _unpack(file, wheel) for file in missing}
        for file, content in contents.items():
            _write(folder / file.name, content)
    return folder


def _is_there(file: ModelFile, folder: Path) -> bool:
    try:
        return is_whole(file, (folder / file.name).read_bytes())
    except OSError:
        return False


def _download_wheel(folder: Path) -> Path:
    command = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", *_PLATFORM, f"--dest={folder}", WHEEL),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = one_line(lines[-1]) if lines else f"exit code {done.returncode}"
        raise InputError(
            f"pip cannot download {WHEEL}, which holds the pose models ({reason}): check the "
            "connection and pip's index."
        )
    return wheels[0]


def _unpack(file: ModelFile, wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(file.member)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{wheel.name} holds no {file.member}: check pip's index.") from error
    if not is_whole(file, content):
        raise InputError(
            f"{file.member} of {wheel.name} is not the pose model that is expected (sha256 "
            f"{file.sha256[:12]}...): check pip's index."
        )
    return content


def _write(path: Path, content: bytes) -> None:
    try:
        write_local(path, content)
    except OSError as error:
        raise InputError(
            f"Cannot write {path} ({error.strerror or error}): {write_advice(path, error)}, or "
            "point HHMNET_POSES at another folder."
        ) from error


if __name__ == "__main__":
    try:
        print(f"The pose models are in {fetch_models()}.")
    except InputError as error:
        sys.exit(f"error: {error}")
