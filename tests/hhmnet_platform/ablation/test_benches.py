"""Benches: checked before anything is trained, equal in steps where asked for."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_stores import write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.benches import open_bench
from hhmnet_platform.ablation.design import BenchDesign

VIEWS = Protocol({"camera": [1]}, {"camera": [2]})


@pytest.fixture
def config(tmp_path: Path) -> Phase1Config:
    write_small_store(tmp_path / "s", dataset="nw_ucla", protocols={"12-3": VIEWS, "1-2": VIEWS})
    optim = OptimConfig(epochs=40, warmup=5, batch=4)
    data = DataConfig(store=str(tmp_path / "s"), selection="last_epoch")
    return Phase1Config(data=data, optim=optim)


@pytest.mark.parametrize("protocol", ["12-3", ""])
def test_protocols_of_final_figures_decide_nothing(config: Phase1Config, protocol: str) -> None:
    with pytest.raises(InputError, match="12-3 of nw_ucla is kept for final figures"):
        open_bench(BenchDesign(protocol=protocol), config, [1], decides=True)
    bench = open_bench(BenchDesign(protocol=protocol), config, [1], decides=False)
    assert bench.name == "nw_ucla 12-3"


def test_bench_has_its_own_data_and_fields(config: Phase1Config) -> None:
    design = BenchDesign(
        protocol="1-2", selection="fold-2-of-3", seeds=[7], config={"optim.lr": "1e-4"}
    )
    bench = open_bench(design, config, [1, 2], decides=True)
    assert (bench.name, bench.seeds) == ("nw_ucla 1-2 fold-2-of-3", [7])
    assert bench.config.data == replace(config.data, protocol="1-2", selection="fold-2-of-3")
    assert bench.config.optim == replace(config.optim, lr=1e-4)


def test_steps_are_equal_whatever_the_batch(config: Phase1Config) -> None:
    bench = open_bench(BenchDesign(protocol="1-2", steps=60), config, [1], decides=True)
    for batch, epochs in ((4, 20), (2, 12), (100, 60)):  # of 3, 5 and 1 steps
        optim = bench.finish(replace(config, optim=replace(config.optim, batch=batch))).optim
        assert (optim.epochs, optim.warmup) == (epochs, pytest.approx(epochs / 8))


def test_without_steps_and_epochs_a_bench_has_the_default_number(config: Phase1Config) -> None:
    bench = open_bench(BenchDesign(protocol="1-2"), config, [1], decides=True)
    assert bench.finish(config) == config
    unset = replace(config, optim=replace(config.optim, epochs=0))
    assert bench.finish(unset) == replace(config, optim=replace(config.optim, epochs=200))


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"protocol": "2-1"}, "Unknown protocol '2-1'"),
        ({"protocol": "1-2", "selection": "fold-1-of-9"}, "give fewer folds"),
        ({"protocol": "1-2", "selection": "best"}, "Unknown selection 'best'"),
        ({"protocol": "1-2", "config": {"optim.epoch": 3}}, "Bench '1-2' has the field .*epochs"),
        ({"protocol": "1-2", "store": "/nowhere"}, "/nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(
    config: Phase1Config, design: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_bench(BenchDesign(**design), config, [1], decides=True)


def test_bench_without_a_store_is_refused() -> None:
    with pytest.raises(InputError, match="A bench has no store"):
        open_bench(BenchDesign(protocol="1-2"), Phase1Config(), [1], decides=True)
