"""Models of fusions and ensembles: the networks of several runs, combined."""

from collections.abc import Callable, Sequence
from typing import Literal

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription
from hhmnet_core.deploy.folders import model_content, write_model
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


def ensemble_model(name: str, ensemble: Ensemble, workspace: Workspace) -> dict[str, bytes]:
    """Return the files of the model of an ensemble. Arguments and errors as for `fusion_model`."""
    val, test = (
        (fuse([each.scores(split) for each in ensemble.candidates]), ensemble.mixture(split))
        for split in SPLITS
    )
    networks = zip(
        ensemble.candidates, ensemble.weights.tolist(), ensemble.temperatures, strict=True
    )
    assessed = assess(val, test)
    return _combine(name, "ensemble", [*networks], ensemble.temperature, assessed, workspace)


def write_combined_model(uri: str, build: Callable[[], dict[str, bytes]], is_known: bool) -> str:
    """Write the model of a fusion or an ensemble; return a line that says where it is, or why not.

    Args:
        uri: Folder of the fusion or ensemble.
        build: Function that returns the model's files.
        is_known: Whether a model that is there already is the same one.
    """
    place = f"{uri}/{MODEL}"
    if not (is_known and has_model(place)):
        try:
            files = build()
        except AccessError:
            raise
        except InputError as error:
            return f"Model    none. {error}"
        write_model(files, place)
    return f"Model    {place}"


def _combine(
    name: str,
    kind: Literal["fusion", "ensemble"],
    networks: Sequence[Weighted],
    temperature: float,
    assessed: Assessment,
    workspace: Workspace,
) -> dict[str, bytes]:
    used = [(each, weight, own) for each, weight, own in networks if weight]
    models = {
        run: model_of_run(FinishedRun.read(workspace.run(run)))
        for run in dict.fromkeys(each.run for each, _, _ in used)
    }
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
