"""The pose estimators by their names."""

from typing import Literal

from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.poses.contract import EstimatorConfig
from hhmnet_core.poses.rtmlib import RtmlibConfig

EstimatorName = Literal["blazepose", "rtmlib"]
DEFAULT_BLAZEPOSE, DEFAULT_RTMLIB = BlazePoseConfig(), RtmlibConfig()


def choose_estimator(
    name: EstimatorName,
    blazepose: BlazePoseConfig = DEFAULT_BLAZEPOSE,
    rtmlib: RtmlibConfig = DEFAULT_RTMLIB,
) -> EstimatorConfig:
    """Return the settings of the estimator of a name."""
    return blazepose if name == "blazepose" else rtmlib
