"""What the replicas do, without Ray."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network, write_random_model

from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_platform.serving.server.deployments import predict_each, predict_files
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


def test_files_in_another_unit_are_refused(tmp_path: Path) -> None:
    network, tensors = random_network("joint")
    loaded = load_model(write_random_model(tmp_path / "model", [(network, tensors)]))
    metres = loaded.check(np.tile(tensors["input_mean"].numpy() + 1, (12, 1, 1)))
    np.testing.assert_array_equal(predict_files(loaded, [metres]), loaded.predict([metres]))
    millimetres = replace(metres, sample_id="b", joints=1000 * metres.joints)
    with pytest.raises(InputError, match=r"Clip b: .* in the unit of the training data"):
        predict_files(loaded, [metres, millimetres])
