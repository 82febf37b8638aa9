"""A network in training: its steps, its best weights, and its checkpoint file."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hhmnet_core.errors import InputError
from hhmnet_core.training.checkpoints import CheckpointSummary
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.records import Progress
from hhmnet_core.training.stream import Stream, scored_weights


def make_stream(**changes: object) -> Stream[nn.Sequential]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return Stream("bone", model, OptimConfig(**({"ema": 0.5} | changes)))


def summary(checksum: str = "") -> CheckpointSummary:
    """Return the summary of a checkpoint of the stream, with or without its checksum."""
    files = {"bone.safetensors": checksum} if checksum else {}
    return CheckpointSummary("phase1", {}, "", Progress([]), files)


def take_steps(stream: Stream[nn.Sequential], steps: range) -> None:
    for step in steps:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        stream.model(x).square().sum().backward()
        stream.optimizer.update(0.01, 0.5)


def test_an_update_uses_up_the_gradients_and_moves_weights_and_average() -> None:
    stream = make_stream()
    before = copy.deepcopy(stream.evaluated)
    assert not stream.optimizer.weights.gradient_q.any()
    stream.model(torch.ones(8, 3)).sum().backward()
    assert stream.optimizer.weights.gradient_q.any()
    stream.optimizer.update(0.01, 0.9)
    assert not stream.optimizer.weights.gradient_q.any()
    name = "2.weight"
    weight = stream.model.state_dict()[name]
    assert not torch.equal(before[name], weight)
    torch.testing.assert_close(stream.average[name], before[name].lerp(weight, 0.9))


def test_a_gradient_is_scaled_down_to_the_limit() -> None:
    stream = make_stream(name="sgd", clip=1e-3, weight_decay=0)
    before = stream.optimizer.weights.memory_p.clone()
    stream.model(torch.ones(8, 3)).square().sum().mul(1e4).backward()
    stream.optimizer.update(1.0, 0.9)
    moved = (stream.optimizer.weights.memory_p - before)[: len(stream.optimizer.weights.gradient_q)]
    # The first step of Nesterov momentum 0.9 moves by 1.9 gradients.
    assert moved.norm().item() == pytest.approx(1.9e-3, rel=1e-3)


def test_scores_use_the_averaged_weights_and_batch_statistics() -> None:
    stream = make_stream()
    take_steps(stream, range(3))
    assert stream.evaluated is stream.average
    assert {"1.running_mean", "1.running_var"} <= stream.evaluated.keys()
    without = make_stream(ema=0)
    take_steps(without, range(3))
    assert without.average == {}
    for name, weight in without.evaluated.items():
        assert torch.equal(weight, without.model.state_dict()[name])


def test_best_weights_are_a_copy_and_used_once_chosen() -> None:
    stream = make_stream()
    assert stream.weights(best=True) is stream.evaluated
    stream.keep_best()
    kept = copy.deepcopy(stream.best)
    take_steps(stream, range(2))
    for name, weight in stream.weights(best=True).items():
        assert torch.equal(weight, kept[name])
    assert stream.weights(best=False) is stream.evaluated
    assert not torch.equal(stream.evaluated["0.weight"], kept["0.weight"])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_stream_that_was_loaded_goes_on_exactly(name: str, tmp_path: Path) -> None:
    stream, other = make_stream(name=name), make_stream(name=name)
    take_steps(stream, range(2))
    stream.keep_best()
    checksum = stream.save(tmp_path)
    other.load(tmp_path, summary(checksum))
    for each in (stream, other):
        take_steps(each, range(2, 4))
    (tmp_path / "again").mkdir()
    other.save(tmp_path / "again")
    stream.save(tmp_path)
    a, b = (load_file(folder / "bone.safetensors") for folder in (tmp_path, tmp_path / "again"))
    assert a.keys() == b.keys()
    assert {key.split("/")[0] for key in a} == {"model", "optimizer", "average", "best"}
    for key, tensor in a.items():
        assert torch.equal(tensor, b[key]), key


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    stream = make_stream()
    checksum = stream.save(tmp_path)
    file = tmp_path / "bone.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"bone\.safetensors is damaged .*another checkpoint"):
        stream.load(tmp_path, summary(checksum))
    stream.load(tmp_path, summary())  # of an early version, without checksums
    file.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"bone\.safetensors is damaged"):
        stream.load(tmp_path, summary())
    file.unlink()
    with pytest.raises(InputError, match=r"bone\.safetensors is missing"):
        stream.load(tmp_path, summary())
    Stream("bone", nn.Linear(5, 5), OptimConfig()).save(tmp_path)
    with pytest.raises(InputError, match=r"does not fit the model .*Use the config"):
        stream.load(tmp_path, summary())


def test_scored_weights_prefer_the_best_then_the_average(tmp_path: Path) -> None:
    stream = make_stream()
    take_steps(stream, range(1))
    stream.save(tmp_path)
    tensors = load_file(tmp_path / "bone.safetensors")
    state = scored_weights(tensors)
    assert state.keys() == stream.model.state_dict().keys()
    assert torch.equal(state["0.weight"], stream.average["0.weight"])
    stream.keep_best()
    take_steps(stream, range(1, 3))
    stream.save(tmp_path)
    state = scored_weights(load_file(tmp_path / "bone.safetensors"))
    assert torch.equal(state["0.weight"], stream.best["0.weight"])
    assert torch.equal(
        state["1.num_batches_tracked"], stream.model.state_dict()["1.num_batches_tracked"]
    )
    plain = {name: t for name, t in tensors.items() if not name.startswith(("average/", "best/"))}
    assert torch.equal(scored_weights(plain)["0.weight"], tensors["model/0.weight"])
