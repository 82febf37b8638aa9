"""Networks of a model from the checkpoints of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from hhmnet_core.deploy.description import NetworkDescription
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.models.backbones import pretrained_settings
from hhmnet_core.store.manifest import Visual
from hhmnet_core.training.checkpoints import read_summary
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.stream import read_tensors, scored_weights

Packed = tuple[NetworkDescription, dict[str, Tensor]]
_NETWORK = "network."  # of the video network, in the module that is trained


def pack_encoders(checkpoint: Path, run: str, members: Sequence[str]) -> list[Packed]:
    """Return the scored encoders of a run of phase 1, named by their modalities.

    Args:
        checkpoint: Folder of the run's last checkpoint.
        run: Name of the run.
        members: Modalities.

    Raises:
        InputError: No checkpoint of phase 1, or a file that is missing or damaged.
    """
    summary = read_summary(checkpoint, "phase1")
    return [
        (
            NetworkDescription(member, member, run, summary.own_config),
            scored_weights(read_tensors(checkpoint, summary, member)[0]),
        )
        for member in members
    ]


def pack_video(checkpoint: Path, run: str, visual: Visual) -> Packed:
    """Return the scored video network of a run of phase 2, guided by the encoder of its modality.

    Args:
        checkpoint: Folder of the run's last checkpoint.
        run: Name of the run.
        visual: Images that it was trained on.

    Raises:
        InputError: No checkpoint of phase 2, a file that is missing or damaged, a network that was
            guided at random, or a pretrained backbone whose settings cannot be read.
    """
    summary = read_summary(checkpoint, "phase2")
    config = summary.own_config
    trained = from_json(Phase2Config, config)
    if trained.guidance.mode == "random":
        raise InputError(
            f"The video network of {run} was guided at random by the numbers of the clips in their "
            "store, for an ablation: it cannot be used elsewhere."
        )
    tensors = scored_weights(read_tensors(checkpoint, summary, VIDEO)[0])
    network = NetworkDescription(
        VIDEO,
        VIDEO,
        run,
        config,
        guide=trained.guidance.modality,
        visual=visual,
        backbone=pretrained_settings(trained.video),
    )
    # What projects the skeleton's features to the video's serves training alone.
    kept = {n.removeprefix(_NETWORK): t for n, t in tensors.items() if n.startswith(_NETWORK)}
    return network, kept
