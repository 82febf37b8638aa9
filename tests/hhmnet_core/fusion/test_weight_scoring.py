"""The quick top-1 of weights equals that of the fused tables; uniform numbers, uniform weights."""

from dataclasses import replace

import numpy as np
import pytest
from score_tables import shuffle

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_core.fusion.weight_scoring import WeightScorer, simplex_weights


def make_tables(
    clips: int = 300, strengths: tuple[float, ...] = (2.0, 1.5, 1.0)
) -> list[ScoreTable]:
    random = np.random.default_rng(4)
    labels = random.integers(0, 6, clips)
    tables = []
    for at, strength in enumerate(strengths):
        logits = random.normal(size=(clips, 6)).astype(np.float32)
        logits[np.arange(clips), labels] += strength
        ids = tuple(f"c{n}" for n in range(clips))
        names = tuple("abcdef")
        tables.append(ScoreTable(ids, labels, logits, f"r{at}", "joint", "val", "d", names))
    return tables


def test_top1_is_that_of_the_fused_tables() -> None:
    tables = make_tables()
    scorer = WeightScorer(tables, [1.0, 0.5, 2.0])
    assert len(scorer) == 3
    random = np.random.default_rng(0)
    for _ in range(20):
        weights = simplex_weights(random.random(3))
        fused = fuse(tables, (weights / [1.0, 0.5, 2.0]).tolist())
        assert scorer.top1(weights) == pytest.approx(top1(fused))


def test_temperatures_are_fitted_where_none_are_given() -> None:
    tables = make_tables()
    scorer = WeightScorer(tables)
    assert scorer.temperatures == tuple(fit_temperature(table) for table in tables)


def test_tables_are_joined_by_sample_id() -> None:
    tables = make_tables()
    mixed = WeightScorer([tables[0], *(shuffle(table, at) for at, table in enumerate(tables[1:]))])
    weights = np.array([0.2, 0.5, 0.3])
    assert mixed.top1(weights) == WeightScorer(tables).top1(weights)
    np.testing.assert_array_equal(mixed.labels, tables[0].labels)
    with pytest.raises(InputError, match="differ in data digest"):
        WeightScorer([tables[0], replace(tables[1], digest="other")])


def test_unanimous_tables_have_one_top1_for_all_weights() -> None:
    table = make_tables(strengths=(1.0,))[0]
    scorer = WeightScorer([table, replace(table, run="twin")])
    assert scorer.top1(np.array([0.3, 0.7])) == pytest.approx(top1(table))


def test_uniform_numbers_give_uniform_weights() -> None:
    random = np.random.default_rng(0)
    drawn = np.stack([simplex_weights(random.random(3)) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.sum(1), 1)
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=0.01)
    # A weight exceeds a half on a quarter of the triangle's area.
    np.testing.assert_allclose((drawn[:, 0] > 0.5).mean(), 0.25, atol=0.01)
