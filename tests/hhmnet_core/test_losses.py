"""Contrastive losses against their closed form in NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hhmnet_core.losses import cross_modal_contrast, info_nce, part_contrast


def closed_form(a: np.ndarray, b: np.ndarray, positives: np.ndarray) -> float:
    total = 0.0
    for logits, share in ((a @ b.T, positives), (b @ a.T, positives.T)):
        for row, mine in zip(logits, share, strict=True):
            log_p = row - np.log(np.exp(row).sum())
            total -= log_p[mine].mean()
    return total / (2 * len(a))


def embeddings(streams: int, clips: int, tau: float = 0.1) -> torch.Tensor:
    return F.normalize(torch.randn(streams, clips, 16, dtype=torch.float64), dim=-1) * tau**-0.5


@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_info_nce_equals_its_closed_form(tau: float) -> None:
    a, b = embeddings(2, 9, tau)
    expected = closed_form(a.numpy(), b.numpy(), np.eye(9, dtype=bool))
    assert info_nce(a, b).item() == pytest.approx(expected, abs=1e-12)


def test_class_positives_equal_their_closed_form() -> None:
    a, b = embeddings(2, 9)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 3])
    positives = labels[:, None] == labels
    expected = closed_form(a.numpy(), b.numpy(), positives.numpy())
    assert info_nce(a, b, positives).item() == pytest.approx(expected, abs=1e-12)


def test_indistinguishable_clips_cost_the_logarithm_of_their_number() -> None:
    same = embeddings(1, 1).expand(1, 8, 16)[0]
    assert info_nce(same, same).item() == pytest.approx(np.log(8))


def test_contrast_compares_every_two_streams() -> None:
    streams = embeddings(4, 6)
    losses = cross_modal_contrast(streams)
    assert torch.equal(losses, losses.T) and (losses.diagonal() == 0).all()
    for one in range(4):
        for other in range(one):
            torch.testing.assert_close(losses[one, other], info_nce(streams[one], streams[other]))


def test_labels_make_clips_of_one_class_positives() -> None:
    streams, labels = embeddings(2, 6), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = info_nce(streams[0], streams[1], labels[:, None] == labels)
    torch.testing.assert_close(cross_modal_contrast(streams, labels)[0, 1], expected)


def test_part_contrast_equals_plain_loops() -> None:
    torch.manual_seed(0)
    video, skeleton = (F.normalize(torch.randn(7, 4, 8, dtype=torch.float64), dim=-1) for _ in "ab")
    visible = torch.rand(7, 4) < 0.6
    visible[:, 3] = False
    visible[:, 2] = False
    visible[4, 2] = True  # one clip alone: its own positive, no negatives
    per_part = []
    for p in range(4):
        clips = np.flatnonzero(visible[:, p])
        if len(clips):
            a, b = video[clips, p].numpy() / 0.2, skeleton[clips, p].numpy()
            per_part.append(closed_form(a, b, np.eye(len(clips), dtype=bool)))
    assert part_contrast(video, skeleton, visible, 0.2).item() == pytest.approx(np.mean(per_part))


def test_part_contrast_of_hidden_parts_has_a_finite_gradient() -> None:
    video = torch.randn(3, 2, 4, requires_grad=True)
    skeleton = F.normalize(torch.randn(3, 2, 4), dim=-1)
    for visible in (torch.zeros(3, 2, dtype=torch.bool), torch.eye(3, 2, dtype=torch.bool)):
        part_contrast(F.normalize(video, dim=-1), skeleton, visible, 0.1).backward()
        assert video.grad is not None and video.grad.isfinite().all()
    assert part_contrast(video, skeleton, torch.zeros(3, 2, dtype=torch.bool), 0.1) == 0
