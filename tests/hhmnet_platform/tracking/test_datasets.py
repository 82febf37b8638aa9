"""Splits of a store as MLflow's data sets."""

import json

import mlflow.data
import pytest
from mlflow.entities import Dataset, DatasetInput

from hhmnet_platform.tracking.datasets import TrackedSplit, dataset_input


def described(store: str, has_video: bool = False) -> DatasetInput:
    return dataset_input("toy", store, has_video, TrackedSplit("val", "1" * 64, 12))


@pytest.mark.parametrize(
    ("store", "source_type"),
    [
        ("/data/it's 100%41?x=1", "local"),
        ("file:///data/toy", "local"),
        ("s3://bucket/toy", "s3"),
        ("gs://bucket/toy", "gs"),
        ("https://host/toy", "http"),
    ],
)
def test_source_is_one_that_mlflow_knows(store: str, source_type: str) -> None:
    dataset = described(store).dataset
    assert dataset.source_type == source_type
    source = mlflow.data.get_source(Dataset.from_dictionary(dict(dataset)))
    assert store in source.to_dict().values()


def test_source_that_mlflow_does_not_know_keeps_its_scheme() -> None:
    dataset = described("abfs://container@account/toy").dataset
    assert dataset.source_type == "abfs"
    assert json.loads(dataset.source) == {"uri": "abfs://container@account/toy"}


def test_split_is_the_context_with_its_size_and_columns() -> None:
    given = described("/data/toy", has_video=True)
    assert {tag.key: tag.value for tag in given.tags} == {"mlflow.data.context": "val"}
    assert (given.dataset.name, given.dataset.digest) == ("toy", "1" * 12)
    assert json.loads(given.dataset.profile) == {"num_rows": 12}
    columns = {
        each["name"]: each["type"] for each in json.loads(given.dataset.schema)["mlflow_colspec"]
    }
    assert (columns["sample_id"], columns["label"]) == ("string", "long")
    assert columns["joints"] == columns["images"] == "array"
    assert "images" not in described("/data/toy").dataset.schema


def test_digest_is_of_the_data_and_of_the_clips() -> None:
    split = TrackedSplit.of("train", "d" * 64, ["a", "b"])
    assert split.num_clips == 2
    others = [
        TrackedSplit.of("train", "e" * 64, ["a", "b"]),
        TrackedSplit.of("train", "d" * 64, ["a"]),
        TrackedSplit.of("train", "d" * 64, ["ab"]),
    ]
    assert len({split.digest, *(each.digest for each in others)}) == 4
