"""Models of fusions and ensembles: the networks of several runs, combined."""

from collections.abc import Callable, Sequence
from typing import Literal

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription
from hhmnet_core.deploy.folders import (
    Weights,
    model_content,
    read_description,
    read_weights,
    write_model,
)
from hhmnet_core.deploy.merging import Part, merge_networks
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.ensemble import Ensemble
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.models import (
    MODEL,
    Assessment,
    assess,
    calibrated,
    has_model,
    made_with,
    model_of_run,
)
from hhmnet_platform.storage.scores import SPLITS
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.model_downloads import download_model

Weighted = tuple[Candidate, float, float]  # a network, its weight and its temperature


def fusion_model(
    name: str, candidates: Sequence[Candidate], weights: dict[str, float], workspace: Workspace
) -> dict[str, bytes]:
    """Return the files of the model of a fusion.

    Args:
        name: Name of the fusion.
        candidates: Its networks.
        weights: Weight of each network's raw logits, by the network's name.
        workspace: Workspace of their runs.

    Raises:
        InputError: A run that is not in the workspace, or whose model cannot be read or built.
    """
    shares = [weights[each.name] for each in candidates]
    val, test = (fuse([each.scores(split) for each in candidates], shares) for split in SPLITS)
    temperature = fit_temperature(val)
    assessed = assess(calibrated(val, temperature), calibrated(test, temperature))
    networks = [(each, share, 1.0) for each, share in zip(candidates, shares, strict=True)]
    return _combine(name, "fusion", networks, temperature, assessed, workspace)


def ensemble_model(
    name: str, ensemble: Ensemble, workspace: Workspace, tracking_uri: str
) -> dict[str, bytes]:
    """Return the files of the model of an ensemble.

    Args:
        name: Name of the ensemble.
        ensemble: The ensemble.
        workspace: Workspace of its runs.
        tracking_uri: MLflow tracking URI, for the models of runs that are not in the workspace.

    Raises:
        InputError: A run that has no model in the workspace or in MLflow, or one that cannot be
            read or built.
    """
    val, test = (
        (fuse([each.scores(split) for each in ensemble.candidates]), ensemble.mixture(split))
        for split in SPLITS
    )
    networks = zip(
        ensemble.candidates, ensemble.weights.tolist(), ensemble.temperatures, strict=True
    )
    assessed = assess(val, test)
    return _combine(
        name, "ensemble", [*networks], ensemble.temperature, assessed, workspace, tracking_uri
    )


def write_combined_model(
    uri: str, build: Callable[[], dict[str, bytes]], is_known: bool
) -> tuple[str, str]:
    """Write the model of a fusion or an ensemble.

    Args:
        uri: Folder of the fusion or ensemble.
        build: Function that returns the model's files.
        is_known: Whether a model that is there already is the same one.

    Returns:
        The model's folder, "" without a model; and a line for the terminal with the folder, or the
        reason why there is none.
    """
    place = f"{uri}/{MODEL}"
    if not (is_known and has_model(place)):
        try:
            files = build()
        except AccessError:
            raise
        except InputError as error:
            return "", f"Model    none. {error}"
        write_model(files, place)
    return place, f"Model    {place}"


def _combine(
    name: str,
    kind: Literal["fusion", "ensemble"],
    networks: Sequence[Weighted],
    temperature: float,
    assessed: Assessment,
    workspace: Workspace,
    tracking_uri: str = "",
) -> dict[str, bytes]:
    used = [(each, weight, own) for each, weight, own in networks if weight]
    models: dict[str, tuple[ModelDescription, Weights]] = {}
    for each, _, _ in used:
        if each.run not in models:
            models[each.run] = _model_of(each, workspace, tracking_uri)
    packed = merge_networks(
        [Part(*models[each.run], each.run, each.member, weight, own) for each, weight, own in used]
    )
    candidate = used[0][0]
    first = models[candidate.run][0]
    described = ModelDescription(
        schema_version=SCHEMA_VERSION,
        name=name,
        kind=kind,
        dataset=first.dataset,
        protocol=first.protocol,
        selection=first.selection,
        digest=candidate.val.digest,
        source=first.source,
        class_names=first.class_names,
        layout=first.layout,
        own_layout=first.own_layout,
        networks=tuple(network for network, _ in packed),
        combination="logits" if kind == "fusion" else "log_probabilities",
        temperature=temperature,
        threshold=assessed.threshold,
        figures=assessed.figures,
        made_with=made_with(),
    )
    return model_content(described, {network.name: tensors for network, tensors in packed})


def _model_of(
    candidate: Candidate, workspace: Workspace, tracking_uri: str
) -> tuple[ModelDescription, Weights]:
    """Return the model of a network's run: from the workspace, else the one that MLflow holds."""
    run = workspace.run(candidate.run)
    if not candidate.run_id or run.read_result() is not None:
        return model_of_run(FinishedRun.read(run))
    place = download_model(tracking_uri, f"runs:/{candidate.run_id}")
    described = read_description(place)
    return described, read_weights(place, described)
