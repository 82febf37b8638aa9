"""Networks of two phase-1 runs, one better, and a video network that the better one guided."""

from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate, LeftOut
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble

NAMES = tuple(f"class <{number}>" for number in range(5))
CLIPS = 200


def _table(run: str, member: str, split: str, strength: float) -> ScoreTable:
    seed = sum(map(ord, run + member + split))
    labels = np.random.default_rng(len(split)).integers(0, 5, CLIPS)
    logits = np.random.default_rng(seed).normal(size=(CLIPS, 5)).astype(np.float32)
    logits[np.arange(CLIPS), labels] += strength
    ids = tuple(f"{split}{number}" for number in range(CLIPS))
    subjects = np.arange(CLIPS) % 20
    return ScoreTable(ids, labels, logits, run, member, split, "d" * 64, NAMES, subjects=subjects)


def _candidate(run: str, member: str, strength: float, guide: str = "") -> Candidate:
    val, test = (_table(run, member, split, strength) for split in ("val", "test"))
    phase = "phase2" if guide else "phase1"
    return Candidate(run, member, val, test, f"id-{run}-{member}", phase, guide)


@pytest.fixture
def candidates() -> list[Candidate]:
    strengths = (1.6, 1.5, 1.3, 1.2)
    good = [
        _candidate("data-phase1-good", member, strength)
        for member, strength in zip(MODALITIES, strengths, strict=True)
    ]
    weak = [_candidate("data-phase1-weak", member, 0.4) for member in MODALITIES]
    return [*good, *weak, _candidate("data-phase2-v", "video", 1.0, guide="data-phase1-good")]


@pytest.fixture
def config() -> SelectionConfig:
    return SelectionConfig(steps=10, bags=4)


@pytest.fixture
def ensemble(candidates: list[Candidate], config: SelectionConfig) -> Ensemble:
    return make_ensemble(candidates, [LeftOut("other/joint", "is <running>")], config)


@pytest.fixture
def copied(candidates: list[Candidate]) -> list[Candidate]:
    """The same, where the first one's table marks 50 test clips as copies."""
    first = candidates[0]
    marked = replace(first.test, copies=frozenset(first.test.sample_ids[:50]))
    return [replace(first, test=marked), *candidates[1:]]
