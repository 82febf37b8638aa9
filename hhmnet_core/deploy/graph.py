"""The skeleton part of a model as one module that can be exported: joints in, probabilities out.

Shapes: N clips, M bodies, T frames, V joints, C coordinates, K classes, S networks, W views.
"""

import torch
from torch import Tensor, nn

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.folders import Weights
from hhmnet_core.deploy.graph_inputs import ClipPreparation, PaddedClips
from hhmnet_core.deploy.skeleton_networks import SkeletonNetwork
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.skeleton.modalities import Derivation


class ModelGraph(nn.Module):
    """A model's encoders between raw joints and probabilities, in single precision.

    All M bodies of a batch are computed, absent ones too, and masked in the mean over bodies: the
    shape of every tensor then follows from the shapes of the inputs.

    Args:
        description: The model.
        weights: Tensors of each of its networks.

    Attributes:
        network_names: Names of its S networks, in the order of the logits.

    Raises:
        InputError: A model with a video network, or weights that do not fit the networks.
    """

    weights_s: Tensor
    temperatures_s: Tensor

    def __init__(self, description: ModelDescription, weights: Weights) -> None:
        super().__init__()
        if any(each.member == VIDEO for each in description.networks):
            raise InputError(
                f"The model {description.name} has a video network, whose guidance needs a "
                "gradient, and exported graphs compute none: export its skeleton encoders alone "
                "(--without_video true), or all of it as --format model."
            )
        self.layout = description.skeleton
        self.combination = description.combination
        self.temperature = description.temperature
        networks = [each for each in description.networks if each.weight]
        self.network_names = [each.name for each in networks]
        self.encoders = nn.ModuleList()
        self.preparations, self.derivations = nn.ModuleList(), nn.ModuleList()
        self._inputs: list[tuple[int, str]] = []  # preparation and modality of each encoder
        preparation_of: dict[bytes, int] = {}
        for each in networks:
            network = SkeletonNetwork.build(
                each,
                weights[each.name],
                self.layout,
                len(description.class_names),
                torch.device("cpu"),
            )
            data = network.config.data
            number = preparation_of.setdefault(network.reading, len(self.preparations))
            if number == len(self.preparations):
                self.preparations.append(ClipPreparation(data, self.layout, network.views))
            self._inputs.append((number, network.member))
            self.derivations.append(Derivation(self.layout, data.motion_step))
            self.encoders.append(network.encoder.to(torch.float32))
        weights_s = torch.tensor([each.weight for each in networks], dtype=torch.float64)
        if self.combination == "logits":
            weights_s /= weights_s.sum()
        temperatures_s = torch.tensor([each.temperature for each in networks])
        self.register_buffer("weights_s", weights_s.to(torch.float32), persistent=False)
        self.register_buffer("temperatures_s", temperatures_s, persistent=False)
        self.eval().requires_grad_(False)

    def forward(
        self, joints_nmtvc: Tensor, num_frames_n: Tensor, num_bodies_n: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the probabilities (N, K) of clips, and the logits (N, S, K) of each network.

        Args:
            joints_nmtvc: (N, M, T, V, C) float32 joints in the layout's unit. What lies beyond the
                bodies and frames of a clip is ignored. A body is zero in frames without it.
            num_frames_n: (N,) number of frames of each clip, 1 to T, long.
            num_bodies_n: (N,) number of bodies of each clip, 1 to M, long.
        """
        clips = PaddedClips.of(joints_nmtvc, num_frames_n, num_bodies_n)
        prepared = [prepare(clips) for prepare in self.preparations]
        logits_nsk = torch.stack(
            [
                self._logits(encoder, derive(prepared[number], modality), clips)
                for encoder, derive, (number, modality) in zip(
                    self.encoders, self.derivations, self._inputs, strict=True
                )
            ],
            1,
        )
        return self._probabilities(logits_nsk), logits_nsk

    def _logits(self, encoder: nn.Module, x_nctvm: Tensor, clips: PaddedClips) -> Tensor:
        """Return the mean of an encoder's logits (N, K) over the views (W * N, ...) of clips."""
        assert isinstance(encoder, Encoder)
        count, bodies = clips.present_nm.shape
        x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)
        pooled_wnmc = encoder.pool(x_rtvc).unflatten(0, (-1, count, bodies))
        present_nm1 = clips.present_nm[:, :, None].to(pooled_wnmc.dtype)
        logits_wnk: Tensor = encoder.classifier(
            (pooled_wnmc * present_nm1).sum(2) / present_nm1.sum(1)
        )
        return logits_wnk.mean(0)

    def _probabilities(self, logits_nsk: Tensor) -> Tensor:
        """Return the probabilities (N, K) that `Model.probabilities` computes."""
        scores_nsk = logits_nsk / self.temperatures_s[:, None]
        if self.combination == "log_probabilities":
            scores_nsk = scores_nsk.log_softmax(2)
        combined_nk = (scores_nsk * self.weights_s[:, None]).sum(1)
        return (combined_nk / self.temperature).softmax(1)
