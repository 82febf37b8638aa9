"""Joint importance and body-part features, computed by a frozen skeleton encoder for phase 2.

The importance of a joint at a time is the gradient of the encoder's decision with respect to the
joint, times the joint's displacement from its mean position in the clip (gradient times input,
Shrikumar et al., ICML 2017, with the clip's mean pose as baseline). The decision is the sum of the
logits, each weighted by the probability that the encoder gives its class; no label is needed.

The gradient singles out the joints that move. The last features do not: behind several layers of
attention, each joint's feature contains the whole body
(docs/decisions/0015-guidance-by-gradient.md). Unlike the weights of MMNet (norms of features, one
for each part and clip, scaled over the batch), there is one importance for each joint, frame and
body, and it depends on the clip alone.

Shapes: N clips, M bodies, R bodies that are present in the clips, T frames, V joints, C channels, P
body parts, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hhmnet_core.models.encoder import Encoder
from hhmnet_core.skeleton.layouts import PARTS, Layout


@dataclass(frozen=True)
class ClipGuidance:
    """What the skeletons of clips give to the video network.

    Attributes:
        importance_nmtv: (N, M, T, V) importance of each joint, at least 0. Its mean over the
            present bodies of a clip is 1; it is 0 for absent bodies.
        parts_npc: (N, P, C) mean feature of each body part; 0 for a part that the layout lacks.
    """

    importance_nmtv: Tensor
    parts_npc: Tensor


def compute_guidance(encoder: Encoder, x_nctvm: Tensor, body_rows: Tensor) -> ClipGuidance:
    """Compute joint importance and part features of clips.

    Args:
        encoder: Encoder of the clips' modality, in evaluation mode.
        x_nctvm: (N, C, T, V, M) clips.
        body_rows: (R,) the bodies that are present, as indices into N * M, ordered by clip.
    """
    clips, _, _, _, bodies = x_nctvm.shape
    clip_r = body_rows // bodies
    x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)[body_rows]
    present_n = torch.bincount(clip_r, minlength=clips).to(x_rtvc.dtype)

    def mean_of_bodies(values_r: Tensor) -> Tensor:
        sums = values_r.new_zeros(clips, *values_r.shape[1:]).index_add(0, clip_r, values_r)
        return sums / present_n.view(-1, *[1] * (values_r.dim() - 1))

    with torch.enable_grad():
        input_rtvc = ((x_rtvc - encoder.input_mean) / encoder.input_std).detach().requires_grad_()
        features_rtvc = encoder.forward_features(input_rtvc, None)
        logits_nk = encoder.classifier(mean_of_bodies(features_rtvc.mean((1, 2))))
        probabilities_nk = logits_nk.detach().softmax(1)
        # Relative to the mean logit: what raises all logits alike decides nothing.
        decision = (probabilities_nk * (logits_nk - logits_nk.mean(1, keepdim=True))).sum()
        (gradient_rtvc,) = torch.autograd.grad(decision, input_rtvc)
    input_rtvc, features_rtvc = input_rtvc.detach(), features_rtvc.detach()
    displacement_rtvc = input_rtvc - input_rtvc.mean(1, keepdim=True)
    weight_rtv = (gradient_rtvc * displacement_rtvc).norm(dim=-1)
    mean_r11 = mean_of_bodies(weight_rtv.mean((1, 2)))[clip_r][:, None, None]
    # In a clip without motion all joints have the same importance.
    importance_rtv = torch.where(mean_r11 > 0, weight_rtv / mean_r11.clamp_min(1e-30), 1.0)
    flat = importance_rtv.new_zeros(clips * bodies, *importance_rtv.shape[1:])
    importance_nmtv = flat.index_copy(0, body_rows, importance_rtv).unflatten(0, (clips, bodies))
    parts_rpc = _part_features(features_rtvc, encoder.layout)
    return ClipGuidance(importance_nmtv, mean_of_bodies(parts_rpc))


def _part_features(features_rtvc: Tensor, layout: Layout) -> Tensor:
    """Return the mean feature of each body part (R, P, C), 0 for a part without joints."""
    parts = []
    for part in PARTS:
        joints = list(layout.parts[part])
        parts.append(
            features_rtvc[:, :, joints].mean((1, 2))
            if joints
            else torch.zeros_like(features_rtvc[:, 0, 0])
        )
    return torch.stack(parts, 1)
