"""Models as MLflow loads them: predictions for rows of JSON values.

MLflow imports this module from the code that travels with a logged model, and calls
`_load_pyfunc`. Nothing of MLflow is imported here.

Shapes: M bodies, T frames, V joints, C coordinates, F images of S x S pixels, K classes.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip, Video
from hhmnet_core.store.manifest import Visual

JOINTS, IMAGES, POSITIONS, IMAGE_JOINTS = "joints", "images", "positions", "image_joints"
_EXAMPLE_FRAMES = 4

Columns = Mapping[str, Sequence[Any]]  # a table of pandas is one
Prediction = dict[str, Any]


class RowModel:
    """A model that reads a row of JSON values for each clip.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, columns: Columns) -> list[Prediction]:
        """Return the label, confidence, unsure and probabilities of each clip.

        Args:
            columns: The values of all clips by column. `joints` are nested lists (T, V, C) for one
                body or (M, T, V, C) for several, as `Model.predict` takes arrays. A model that
                reads videos also needs `images`, F JPEG files in base64; `positions`, the (F,)
                frames that they show; and `image_joints`, the (M, F, V, 2) joints in the images as
                shares of their width and height, null for unknown ones.

        Returns:
            For each clip the name of the most probable class, its probability, whether that is
            below the model's threshold (None without one), and the probabilities by class.

        Raises:
            InputError: A clip that does not fit the model, which the message names.
        """
        needed = columns_of(self.model.description)
        if missing := [name for name in needed if name not in columns]:
            raise InputError(
                f"The request has no {' and no '.join(missing)}, but the model "
                f"{self.model.description.name} reads {', '.join(needed)}: give them for each clip."
            )
        rows = zip(*(columns[name] for name in needed), strict=True)
        clips = [self._clip(number, *row) for number, row in enumerate(rows)]
        return [self._prediction(each_k) for each_k in self.model.predict(clips)]

    def _clip(self, number: int, joints: Any, *video: Any) -> Clip | NDArray[np.float32]:
        array = _numbers(joints, f"The {JOINTS} of clip {number}")
        visual = self.model.description.visual
        if visual is None:
            return array
        joints_mtvc = array[None] if array.ndim == 3 else array
        images, positions, image_joints = video
        return Clip(
            str(number), 0, 0, 0, 0, joints_mtvc,
            video=Video(
                _images(images, visual, number),
                _numbers(positions, f"The {POSITIONS} of clip {number}").astype(np.int64),
                _numbers(image_joints, f"The {IMAGE_JOINTS} of clip {number}"),
            ),
        )  # fmt: skip

    def _prediction(self, probabilities_k: NDArray[np.float64]) -> Prediction:
        best, threshold = int(probabilities_k.argmax()), self.model.description.threshold
        values = probabilities_k.tolist()
        return {
            "label": self.model.class_names[best],
            "confidence": values[best],
            "unsure": None if threshold is None else values[best] < threshold,
            "probabilities": dict(zip(self.model.class_names, values, strict=True)),
        }


def columns_of(described: ModelDescription) -> tuple[str, ...]:
    """Return the names of the columns that a model reads."""
    video = () if described.visual is None else (IMAGES, POSITIONS, IMAGE_JOINTS)
    return (JOINTS, *video)


def example_row(described: ModelDescription) -> dict[str, Any]:
    """Return a row that a model can read: one body that moves, and grey images."""
    layout, visual = described.skeleton, described.visual
    shape = (1, _EXAMPLE_FRAMES, layout.num_joints, layout.channels)
    joints = np.linspace(0.1, 1.0, int(np.prod(shape))).round(3).reshape(shape)
    row: dict[str, Any] = {JOINTS: joints.tolist()}
    if visual is not None:
        from PIL import Image

        buffer = io.BytesIO()
        Image.new("RGB", (visual.size, visual.size), "grey").save(buffer, "JPEG")
        row[IMAGES] = [base64.b64encode(buffer.getvalue()).decode()] * visual.frames
        row[POSITIONS] = [_EXAMPLE_FRAMES * at // visual.frames for at in range(visual.frames)]
        row[IMAGE_JOINTS] = np.full((1, visual.frames, layout.num_joints, 2), 0.5).tolist()
    return row


def _load_pyfunc(path: str) -> RowModel:
    """Return the model in a local folder. MLflow calls this by its name."""
    return RowModel(load_model(path))


def _numbers(values: Any, what: str) -> NDArray[np.float32]:
    """Return nested lists as an array. Raises InputError for ragged ones and other values."""
    try:
        return np.array(_lists(values), dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{what} are no array of numbers ({error}): give nested lists of numbers, all of one "
            "level equally long."
        ) from error


def _lists(values: Any) -> Any:
    """Return nested lists instead of arrays that hold arrays, which MLflow makes of some."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        return [_lists(each) for each in values]
    return values


def _images(values: Any, visual: Visual, number: int) -> tuple[bytes, ...]:
    """Return the JPEG files of a clip. Raises InputError for other values, or other sizes."""
    from PIL import Image, UnidentifiedImageError

    files = []
    for value in values:
        try:
            file = base64.b64decode(value, validate=True)
            width, height = Image.open(io.BytesIO(file), formats=["JPEG"]).size
        except (ValueError, TypeError, UnidentifiedImageError) as error:
            raise InputError(
                f"The {IMAGES} of clip {number} hold something that is no JPEG file in base64: "
                f"give {visual.frames} of {visual.size} x {visual.size} pixels."
            ) from error
        if (width, height) != (visual.size, visual.size):
            raise InputError(
                f"The {IMAGES} of clip {number} are {width} x {height} pixels, but the model reads "
                f"{visual.frames} of {visual.size} x {visual.size}: prepare them in that size."
            )
        files.append(file)
    return tuple(files)
