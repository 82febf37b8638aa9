"""Compiled encoders: the same steps as without compilation, in few graphs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_stores import write_store
from torch._dynamo.utils import counters
from torch._inductor import config as inductor
from torch._inductor import metrics

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import stacked_encoders
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer

CPU = torch.device("cpu")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Trace and differentiate as for compilation, but run the operations themselves."""
    monkeypatch.setattr(stacked_encoders, "COMPILER", "aot_eager")
    torch.compiler.reset()
    counters.clear()
    yield counters["stats"]
    torch.compiler.reset()


def with_bodies(clips: ClipSet, most: int, folder: Path) -> ClipSet:
    """Return the clips with 1 to `most` bodies, copies of their first."""
    manifest, given = clips.manifest, [clips.clip(i) for i in range(len(clips))]
    single = [
        replace(clip, joints=clip.joints[:1].repeat(1 + i * i % most, 0))
        for i, clip in enumerate(given)
    ]
    write_store(
        folder / "store", single, dataset="single", layout=manifest.layout,
        class_names=manifest.class_names, protocols=manifest.protocols, source={},
    )  # fmt: skip
    return load_clips(folder / "store", folder / "cache")


@pytest.mark.parametrize("bodies", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_compiled_steps_equal_those_of_the_loop_in_one_graph_a_shape(
    small: Phase1Config, tiny_clips: ClipSet, traced: Counter[str], bodies: int, tmp_path: Path
) -> None:
    """Batches of 5 and of 4 clips, with one and with up to two bodies each."""
    optim = replace(small.optim, precision="float64", batch=5)
    contrast = ContrastConfig(weight=0.5, positives="class")
    config = replace(small, optim=optim, contrast=contrast)
    if bodies == 1:
        tiny_clips = with_bodies(tiny_clips, 1, tmp_path)
    plain = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    compiled = replace(config, optim=replace(optim, compile=True))
    other = Phase1Trainer(compiled, tiny_clips, Mesh(), CPU)
    clips, shapes = set(), set()
    for epoch in (1, 2):
        order = plain.epoch_order(epoch)
        for step, batch_n in enumerate(order):
            clips.add(len(batch_n))
            prepared = other.prepare(epoch, step, batch_n)
            shapes.add(len(prepared.inputs.plan.body_rows))
            expected = plain.train_step(plain.prepare(epoch, step, batch_n))
            torch.testing.assert_close(other.train_step(prepared), expected, rtol=1e-9, atol=1e-9)
    assert clips == {4, 5}
    for mine, theirs in zip(plain.streams, other.streams, strict=True):
        weights = theirs.model.state_dict()
        for name, weight in mine.model.state_dict().items():
            torch.testing.assert_close(weights[name], weight, rtol=1e-9, atol=1e-9, msg=name)
    assert traced["unique_graphs"] == len(shapes) <= (1 if bodies == 1 else 5)


@pytest.mark.slow
def test_inductor_fuses_the_operations_of_four_encoders_into_few_kernels(
    small: Phase1Config, tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget of the default network, forward and backward, in what torch generates for a CPU.

    A count for a GPU needs Triton; here a loss of fusion shows without it.
    """
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    torch.compiler.reset()
    metrics.reset()
    config = replace(small, model=ModelConfig(), optim=replace(small.optim, compile=True))
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    trainer.train_step(trainer.prepare(1, 0, trainer.epoch_order(1)[0]))
    torch.compiler.reset()
    kernels, operations = metrics.generated_kernel_count, metrics.ir_nodes_pre_fusion
    assert 0 < kernels <= 900 and kernels < operations, (kernels, operations)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
def test_batches_have_at_most_five_shapes(
    small: Phase1Config, tiny_clips: ClipSet, tmp_path: Path, most: int
) -> None:
    clips = with_bodies(tiny_clips, most, tmp_path)
    shapes = set()
    for batch in (5, 6, 10):
        optim = replace(small.optim, batch=batch, compile=True)
        trainer = Phase1Trainer(replace(small, optim=optim), clips, Mesh(), CPU)
        of_batch = set()
        for epoch in range(1, 21):
            for step, batch_n in enumerate(trainer.epoch_order(epoch)):
                plan = trainer.prepare(epoch, step, batch_n).inputs.plan
                of_batch.add((len(plan.labels_n), len(plan.body_rows), plan.most_bodies))
                assert plan.body_rows.max() < len(plan.labels_n) * plan.most_bodies
                assert set((plan.body_rows // plan.most_bodies).tolist()) == set(
                    range(len(plan.labels_n))
                )  # no clip is without a body
        assert len(of_batch) <= (1 if most == 1 else 5)
        shapes |= of_batch
    assert len({most_bodies for *_, most_bodies in shapes}) == 1


def test_networks_that_normalise_over_the_batch_are_not_compiled(
    small: Phase1Config, tiny_clips: ClipSet
) -> None:
    optim, model = replace(small.optim, compile=True), replace(small.model, name="ctr_gcn")
    with pytest.raises(InputError, match="ctr_gcn normalises over the whole batch"):
        Phase1Trainer(replace(small, optim=optim, model=model), tiny_clips, Mesh(), CPU)


def test_without_a_compiler_it_is_said(
    small: Phase1Config, tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    optim = replace(small.optim, compile=True)
    with pytest.raises(InputError, match="no C compiler here"):
        Phase1Trainer(replace(small, optim=optim), tiny_clips, Mesh(), CPU)
