"""What the replicas do, without Ray."""

import numpy as np

from hhmnet_core.deploy.model import load_model
from hhmnet_platform.serving.server.deployments import predict_each
from hhmnet_platform.serving.server.refusals import UNUSABLE, RefusalError


def test_a_clip_without_scores_spoils_no_other_of_its_batch(model: str) -> None:
    loaded = load_model(model)
    good = np.random.default_rng(1).normal(size=(9, 20, 3)).astype(np.float32)
    huge = (good * np.float32(1e38)).astype(np.float32)
    clips = [loaded.check(array, at) for at, array in enumerate([good, huge, good])]
    first, second, third = predict_each(loaded, clips)
    assert isinstance(second, RefusalError) and second.status == UNUSABLE
    assert "Clip 1: its scores are not finite" in second.message
    for row in (first, third):
        assert isinstance(row, np.ndarray)
        np.testing.assert_allclose(row, loaded.predict([good])[0], rtol=0, atol=1e-6)
