"""A model in MLflow's format: its own files, the code that reads them, and what both need.

Nothing in it is pickled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import hhmnet_core
from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.pyfunc import columns_of, example_row
from hhmnet_core.files import folder

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

LOGGED_NAME = "model"  # of every logged model: MLflow finds it as runs:/<run id>/model
_LOADER = "hhmnet_core.deploy.pyfunc"
_CORE_PACKAGES = ("torch", "numpy", "safetensors", "scipy", "pyarrow", "fsspec", "pyyaml")
_VIDEO_PACKAGES = ("pillow", "simplejpeg", "transformers")


def requirements_of(described: ModelDescription) -> list[str]:
    """Return the packages that a model needs beside hhmnet_core, at the installed versions."""
    names = _CORE_PACKAGES + (() if described.visual is None else _VIDEO_PACKAGES)
    # The part after + names a build, such as 2.13.0+cpu, which package indexes do not offer.
    return [f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", *names)]


def signature_of(described: ModelDescription) -> "ModelSignature":
    """Return what a model reads and returns, in MLflow's types.

    Numbers are of type Any: MLflow checks each list of doubles by itself, which takes longer than
    the prediction, and it does not take 1 for a float.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Map, Schema, TensorSpec

    nested = Array(Array(Array(AnyType())))  # clips of any length, of one body or several
    types = {"images": Array(DataType.string), "positions": Array(AnyType())}
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(types.get(name, nested), name) for name in columns_of(described)
    ]
    predictions: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(DataType.boolean, "unsure", required=False),
        ColSpec(Map(DataType.double), "probabilities"),
    ]
    return ModelSignature(Schema(columns), Schema(predictions))


def save_pyfunc(source: str, described: ModelDescription, path: Path, **identity: Any) -> None:
    """Write a model as a folder in MLflow's format.

    Args:
        source: Folder of the model.
        described: Its description.
        path: Local folder to make.
        identity: Fields of `mlflow.models.Model` that name the run and the logged model.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with _local_folder(source) as local:
        mlflow.pyfunc.save_model(
            path=str(path),
            loader_module=_LOADER,
            data_path=local,
            code_paths=[str(Path(hhmnet_core.__file__).parent)],
            # Given, so that MLflow neither loads the model nor looks for what it imports.
            pip_requirements=requirements_of(described),
            signature=signature_of(described),
            input_example=[example_row(described)],
            mlflow_model=Model(**identity),
        )


@contextmanager
def _local_folder(uri: str) -> Iterator[str]:
    """Yield a local folder with the files of a model."""
    source = folder(uri)
    if source.is_local:
        yield source.path
        return
    with TemporaryDirectory() as temporary:
        local = Path(temporary, LOGGED_NAME)
        local.mkdir()
        for name in source.names():
            (local / name).write_bytes(source.read(name))
        yield str(local)
