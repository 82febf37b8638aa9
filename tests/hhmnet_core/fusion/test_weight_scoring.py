"""Many weightings judged at once agree with the fusion of tables, and uniform means uniform."""

from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_core.fusion.weight_scoring import WeightScorer, simplex_weights


def tables(clips: int = 300, strengths: tuple[float, ...] = (2.0, 1.5, 1.0)) -> list[ScoreTable]:
    random = np.random.default_rng(4)
    labels = random.integers(0, 6, clips)
    made = []
    for at, strength in enumerate(strengths):
        logits = random.normal(size=(clips, 6)).astype(np.float32)
        logits[np.arange(clips), labels] += strength
        ids = tuple(f"c{n}" for n in range(clips))
        names = tuple("abcdef")
        made.append(ScoreTable(ids, labels, logits, f"r{at}", "joint", "val", "d", names))
    return made


def shuffled(table: ScoreTable, seed: int) -> ScoreTable:
    order = np.random.default_rng(seed).permutation(len(table))
    return replace(
        table,
        sample_ids=tuple(table.sample_ids[at] for at in order),
        labels=table.labels[order],
        logits=table.logits[order],
    )


def test_top1_is_that_of_the_fused_tables() -> None:
    ours = tables()
    weighting = WeightScorer(ours, [1.0, 0.5, 2.0])
    random = np.random.default_rng(0)
    for _ in range(20):
        weights = simplex_weights(random.random(3))
        plain = fuse(ours, (weights / [1.0, 0.5, 2.0]).tolist())
        assert weighting.top1(weights) == pytest.approx(top1(plain))


def test_tables_are_calibrated_and_joined_by_sample() -> None:
    ours = tables()
    weighting = WeightScorer(ours)
    assert weighting.temperatures == pytest.approx([fit_temperature(table) for table in ours])
    mixed = WeightScorer([ours[0], *(shuffled(table, at) for at, table in enumerate(ours[1:]))])
    weights = np.array([0.2, 0.5, 0.3])
    assert mixed.top1(weights) == weighting.top1(weights)
    with pytest.raises(InputError, match="differ in data digest"):
        WeightScorer([ours[0], replace(ours[1], digest="other")])


def test_unanimous_tables_need_no_weights() -> None:
    one = tables(strengths=(1.0,))[0]
    weighting = WeightScorer([one, replace(one, run="twin")])
    assert weighting.top1(np.array([0.3, 0.7])) == pytest.approx(top1(one))


def test_simplex_is_uniform() -> None:
    random = np.random.default_rng(0)
    drawn = np.stack([simplex_weights(random.random(3)) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.sum(1), 1)
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose((drawn[:, 0] > 0.5).mean(), 0.25, atol=0.01)  # a quarter's area
