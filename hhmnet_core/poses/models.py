"""The model files of pose estimators: where they are kept, and that they are the right ones."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access

ADVICE = "run make poses"


@dataclass(frozen=True)
class ModelFile:
    """A model file with a known content.

    Attributes:
        name: Name of the file.
        sha256: sha256 (hex) of its content.
        member: Path of the file in the wheel that carries it.
    """

    name: str
    sha256: str
    member: str


# Apache 2.0, in the wheel mediapipe 0.10.21.
DETECTOR = ModelFile(
    "pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "mediapipe/modules/pose_detection/pose_detection.tflite",
)
LANDMARKS = ModelFile(
    "pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
)
MODEL_FILES = (DETECTOR, LANDMARKS)


def models_folder() -> Path:
    """Return the folder of the models: $HHMNET_POSES, by default `~/.cache/hhmnet/poses`."""
    return Path(os.environ.get("HHMNET_POSES") or "~/.cache/hhmnet/poses").expanduser()


def is_whole(file: ModelFile, content: bytes) -> bool:
    """Return whether a content is that of a model file."""
    return hashlib.sha256(content).hexdigest() == file.sha256


def read_model(file: ModelFile) -> bytes:
    """Return the content of a model file.

    Raises:
        InputError: The file is missing, or its content is another one.
        AccessError: The file cannot be read.
    """
    path = models_folder() / file.name
    try:
        with local_access(path):
            content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"There is no pose model {path}: {ADVICE}, which downloads it, or point HHMNET_POSES "
            "at the folder that holds it."
        ) from error
    if not is_whole(file, content):
        raise InputError(
            f"{path} is not the pose model that is expected (sha256 {file.sha256[:12]}...): remove "
            f"it and {ADVICE}."
        )
    return content
