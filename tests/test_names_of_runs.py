"""The names of runs do not change: a run of an earlier version is found again by its config.

A config field that is added is declared with `hhmnet_core.identity.later`: while it has the value
that stands for the behaviour before, it is left out of the name.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.hashing import run_name
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.storage.run_identity import RunIdentity

CONFIGS = Path(__file__).parents[1] / "experiments" / "configs"
DATA, GUIDE = "0" * 64, "1" * 64
# As version 0.1.0 named them, whose attention was RE-DMT version 1.
NAMES = {
    "": ("data-phase1-a1ab0973", "data-phase2-2dc49118"),
    "ntu120_xset": "data-phase1-e9d62091",
    "ntu120_xsub": "data-phase1-d4b68a2e",
    "ntu60_xsub": "data-phase1-d4b68a2e",
    "ntu60_xview": "data-phase1-eb228446",
    "nw_ucla": "data-phase1-6bf7e1db",
    "nw_ucla_cpu": "data-phase1-188943dd",
    "nw_ucla_field_cpu": "data-phase1-23eeb9cc",
    "phase2_ntu120_xset": "data-phase2-8d24a7c7",
    "phase2_ntu60_xsub": "data-phase2-f25590cc",
    "phase2_nw_ucla": "data-phase2-4e84946d",
    "phase2_utd_mhad_cpu": "data-phase2-1e217419",
}
_NW_UCLA = [
    "--augment.views=1",
    "--augment.rest=0",
    "--augment.bone_noise=0",
    "--augment.joint_noise=0.2",
]
# The recipe has other values since; these are the ones that it had.
EARLIER = {
    "nw_ucla": _NW_UCLA,
    "nw_ucla_cpu": _NW_UCLA,
    "nw_ucla_field_cpu": [
        "--data.axes_extent=read",
        "--data.whole_frames=false",
        "--augment.yaw_first=false",
        "--augment.views=1",
    ],
}
RECIPES = {name: value for name, value in NAMES.items() if name}
MESSAGE = "a new config field renames runs: declare it with hhmnet_core.identity.later"


def name_of(config: Phase1Config | Phase2Config) -> str:
    if isinstance(config, Phase2Config):
        return run_name("data", "phase2", RunIdentity(config, DATA, GUIDE).values)
    return run_name("data", "phase1", RunIdentity(config, DATA).values)


def earlier(config: Phase1Config | Phase2Config) -> Phase1Config | Phase2Config:
    """Return a config with the defaults of version 0.1.0 that others have replaced."""
    if isinstance(config, Phase2Config):
        return config
    heads = 4 if config.model.heads == ModelConfig().heads else config.model.heads
    return replace(
        config,
        model=replace(config.model, re_dmt=1, joint_scale=0.02, heads=heads, context=[]),
        data=replace(config.data, motion_share=0),
        augment=with_noise_of_before(config.augment),
        optim=replace(config.optim, epochs=config.optim.epochs or 12),
    )


def with_noise_of_before(augment: AugmentConfig) -> AugmentConfig:
    """Return an augmentation without motion, and with the default noise of 0.1.0 for today's."""
    default = AugmentConfig()
    noise = {"joint_noise": augment.joint_noise, "bone_noise": augment.bone_noise}
    if noise == {"joint_noise": default.joint_noise, "bone_noise": default.bone_noise}:
        noise = {"joint_noise": 0.01, "bone_noise": 0.0}
    return replace(augment, motion_share=0, **noise)


def test_runs_with_default_configs_keep_their_names() -> None:
    names = name_of(earlier(Phase1Config())), name_of(earlier(Phase2Config()))
    assert names == NAMES[""], MESSAGE


@pytest.mark.parametrize("recipe", RECIPES)
def test_runs_of_recipes_keep_their_names(recipe: str) -> None:
    kind = Phase2Config if recipe.startswith("phase2") else Phase1Config
    arguments = ["--config", str(CONFIGS / f"{recipe}.yaml"), *EARLIER.get(recipe, [])]
    config = parse_config("recipe", kind, arguments)
    assert name_of(earlier(config)) == RECIPES[recipe], MESSAGE


def test_two_spellings_of_a_selection_are_one_run() -> None:
    config = Phase1Config()
    names = {
        name_of(replace(config, data=replace(config.data, selection=selection)))
        for selection in ("literature", "last_epoch")
    }
    assert len(names) == 1 and names != {name_of(config)}
