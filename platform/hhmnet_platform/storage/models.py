"""Models of finished runs: built from their checkpoints and scores, kept in their folders."""

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from hhmnet_core.deploy.description import DESCRIPTION, SCHEMA_VERSION, ModelDescription
from hhmnet_core.deploy.folders import (
    Weights,
    model_content,
    read_description,
    read_weights,
    write_model,
)
from hhmnet_core.deploy.packing import Packed, pack_encoders, pack_video
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.compare import measure
from hhmnet_core.fusion.confidence import unsure_threshold
from hhmnet_core.fusion.metrics import accuracy_without_copies
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.store.reading import read_manifest
from hhmnet_platform.members import FUSION
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import load_all_scores
from hhmnet_platform.storage.workspace import local_copy
from hhmnet_platform.tracking import tags

MODEL = "model"  # folder of a model, in that of what it comes from
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Assessment:
    """What val and test say about a combination of networks.

    Attributes:
        threshold: Confidence below which a prediction is unsure. None without val.
        figures: Top-1 on val and test, their clips, interval and calibration error on test.
    """

    threshold: float | None
    figures: dict[str, float]


def assess(
    val: tuple[ScoreTable, Probabilities] | None, test: tuple[ScoreTable, Probabilities]
) -> Assessment:
    """Measure a combination by its probabilities (N, K) of the clips of score tables."""
    table, probabilities = test
    measured = measure(probabilities, table.labels)
    figures = {
        "test_top1": measured.top1,
        "test_low": measured.interval[0],
        "test_high": measured.interval[1],
        "test_clips": float(len(table)),
        "test_calibration_error": measured.calibration_error,
    }
    novel = accuracy_without_copies(table, measured.correct)
    if novel is not None:
        figures["test_top1_without_copies"] = novel
    if val is None:
        return Assessment(None, figures)
    table, probabilities = val
    figures["val_top1"] = float((probabilities.argmax(1) == table.labels).mean())
    figures["val_clips"] = float(len(table))
    return Assessment(unsure_threshold(probabilities, table.labels), figures)


def calibrated(table: ScoreTable, temperature: float) -> tuple[ScoreTable, Probabilities]:
    """Return a table with its probabilities at a temperature."""
    return table, softmax(table.logits.astype(np.float64) / temperature, axis=1)


def made_with() -> dict[str, str]:
    """Return the versions of the packages that decide what a model predicts."""
    return {name: version(name) for name in ("hhmnet-ray", "torch", "numpy")}


def run_model(
    run: FinishedRun, manifest: Manifest, guide: FinishedRun | None = None
) -> dict[str, bytes]:
    """Return the files of the model of a finished run, the fusion of its networks.

    Args:
        run: The run.
        manifest: Manifest of the store that it was trained on.
        guide: Run that guides it. None for phase 1.

    Raises:
        InputError: Files of the run that are missing or damaged, or networks that cannot be used
            elsewhere.
    """
    tables = load_all_scores(run.folder, FUSION)
    temperature = fit_temperature(tables["val"]) if "val" in tables else 1.0
    assessed = assess(
        calibrated(tables["val"], temperature) if "val" in tables else None,
        calibrated(tables["test"], temperature),
    )
    networks = _networks(run, manifest, guide)
    result = run.result
    converted = networks[-1][0].config["data"].get("layout", "")
    described = ModelDescription(
        schema_version=SCHEMA_VERSION,
        name=run.name,
        kind="phase1" if guide is None else "phase2",
        dataset=result.dataset,
        protocol=result.protocol,
        selection=result.selection,
        digest=result.digest,
        source=dict(manifest.source),
        class_names=tables["test"].class_names,
        layout=converted or manifest.layout,
        own_layout=None if converted else manifest.own_layout,
        networks=tuple(network for network, _ in networks),
        temperature=temperature,
        threshold=assessed.threshold,
        figures=assessed.figures,
        made_with=made_with(),
    )
    return model_content(described, {network.name: tensors for network, tensors in networks})


def exported_model(run: FinishedRun, store: str = "") -> dict[str, bytes]:
    """Return the files of the model of a run that finished earlier.

    Args:
        run: The run.
        store: URI of its store. Default: where it was when the run was trained.

    Raises:
        InputError: As `run_model`, and for a store that is no longer there, or is another one.
    """
    uri = store or run.result.tags[tags.STORE]
    try:
        manifest = read_manifest(uri)
    except InputError as error:
        raise InputError(
            f"Run {run.name} has no model yet, and to make one its store is needed ({error}) Make "
            f"it with hhmnet export --model {run.name} --data.store, the place of the store now."
        ) from error
    names = load_all_scores(run.folder, FUSION)["test"].class_names
    is_other = manifest.class_names != names or manifest.dataset != run.result.dataset
    if is_other or (run.guide_name and manifest.digest != run.result.digest):
        raise InputError(
            f"Run {run.name} was trained on another store than {uri}: make its model with "
            f"hhmnet export --model {run.name} --data.store, the place of its own."
        )
    guide = None
    if name := run.guide_name:
        guide = FinishedRun.read(RunFolder(name, f"{run.folder.uri.rpartition('/')[0]}/{name}"))
    return run_model(run, manifest, guide)


def has_model(uri: str) -> bool:
    """Return whether a folder holds a model."""
    return DESCRIPTION in folder(uri).names()


def ensure_run_model(run: FinishedRun, store: str = "") -> str:
    """Return the folder of a run's model, which is built if there is none.

    Args and errors as for `exported_model`.
    """
    uri = f"{run.folder.uri}/{MODEL}"
    if not has_model(uri):
        write_model(exported_model(run, store), uri)
    return uri


def model_of_run(run: FinishedRun) -> tuple[ModelDescription, Weights]:
    """Return the model of a finished run, which is built if there is none.

    Raises:
        InputError: A model that is damaged, or cannot be built.
    """
    uri = ensure_run_model(run)
    described = read_description(uri)
    return described, read_weights(uri, described)


def _networks(run: FinishedRun, manifest: Manifest, guide: FinishedRun | None) -> list[Packed]:
    with ExitStack() as stack:
        checkpoint = local_copy(run.checkpoint, stack)
        if guide is None:
            return pack_encoders(checkpoint, run.name, MODALITIES)
        if manifest.visual is None:
            raise InputError(f"The store of run {run.name} has no video.")
        encoders = pack_encoders(local_copy(guide.checkpoint, stack), guide.name, MODALITIES)
        video = pack_video(checkpoint, run.name, manifest.visual)
        return [video, *encoders]  # the order in which the run fuses them
