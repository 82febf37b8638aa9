"""Weights of trained encoders that a training starts from."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.models.encoder import Encoder

_HEAD = "classifier."


@dataclass(frozen=True)
class InitialWeights:
    """The weights of trained encoders.

    Attributes:
        digest: sha256 (hex) of all of them: other weights make another run.
        by_modality: Tensors by name, of each modality.
        same_classes: Whether they classify the classes of the new training, in its order; else the
            new classifiers stay as they are.
    """

    digest: str
    by_modality: Mapping[str, Mapping[str, Tensor]]
    same_classes: bool

    def load(self, encoder: Encoder, modality: str) -> None:
        """Give a new encoder the weights of a modality.

        Raises:
            InputError: There are none, or they are of an encoder of another size.
        """
        if modality not in self.by_modality:
            raise InputError(
                f"The model of init_from has no {modality} encoder: it has "
                f"{', '.join(self.by_modality)}; give one of a phase-1 run."
            )
        given, state = self.by_modality[modality], encoder.state_dict()
        # Set by the new training: from its own clips, and by its own config.
        kept = {*encoder.statistics, "log_temperature"}
        for name, own in state.items():
            if name in kept or (name.startswith(_HEAD) and not self.same_classes):
                continue
            if name not in given or given[name].shape != own.shape:
                found = tuple(given[name].shape) if name in given else "nothing"
                raise InputError(
                    f"The {modality} encoder of init_from does not fit the config: {name} is "
                    f"{tuple(own.shape)} here and {found} there. Give the fields of model as they "
                    "were."
                )
            own.copy_(given[name])
