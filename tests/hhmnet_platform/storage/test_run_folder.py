import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    checkpoint_name,
    parse_checkpoint_name,
)
from hhmnet_platform.storage.run_folder import SNAPSHOT, RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    return RunFolder("one", str(folder))


def test_name_of_another_config_is_refused(run: RunFolder) -> None:
    run.claim({"optim.lr": 0.1, "seed": 1})
    run.claim({"seed": 1, "optim.lr": 0.1})
    with pytest.raises(InputError, match=r"exists with another optim\.lr: give another --name"):
        run.claim({"optim.lr": 0.2, "seed": 1})


def test_second_process_is_kept_off_a_run(run: RunFolder) -> None:
    with run.lock(), pytest.raises(InputError, match="being trained by another"), run.lock():
        pass
    with run.lock():
        pass


def note(run: RunFolder, *epochs: int | TrainingPoint) -> None:
    points = [
        epoch if isinstance(epoch, TrainingPoint) else TrainingPoint(epoch) for epoch in epochs
    ]
    results = [{"checkpoint_dir_name": checkpoint_name(point)} for point in points]
    content = {"checkpoint_results": results, "latest_checkpoint_result": results[-1]}
    run.place.write(SNAPSHOT, json.dumps(content).encode())


def test_what_is_saved_is_the_newest_checkpoints(run: RunFolder) -> None:
    assert run.saved() == TrainingPoint()
    note(run, 11, 12)
    assert run.saved() == TrainingPoint(12)
    note(run, 12, TrainingPoint(12, 70))
    assert run.saved() == TrainingPoint(12, 70)


def test_checkpoints_are_named_in_the_order_of_training() -> None:
    points = [
        TrainingPoint(0, 9),
        TrainingPoint(1),
        TrainingPoint(1, 2),
        TrainingPoint(1, 10),
        TrainingPoint(2),
        TrainingPoint(10, 3),
        TrainingPoint(11),
    ]
    names = [checkpoint_name(point) for point in points]
    assert names == sorted(names) and points == sorted(points)
    assert [parse_checkpoint_name(f"runs/some/{name}") for name in names] == points
    assert str(TrainingPoint(2)) == "after epoch 2"
    assert str(TrainingPoint(2, 70)) == "within epoch 3, after step 70"


def save(run: RunFolder, epoch: int | TrainingPoint) -> None:
    place = run.sub(
        checkpoint_name(epoch if isinstance(epoch, TrainingPoint) else TrainingPoint(epoch))
    )
    for modality in MODALITIES:
        place.write(f"{modality}.safetensors", safetensors.numpy.save({"w": np.zeros(3)}))
    place.write("state.json", b'{"phase": "phase1"}')


def test_heal_leaves_a_sound_run_alone(run: RunFolder) -> None:
    assert run.heal() is None
    save(run, 1)
    note(run, 1)
    assert run.heal() is None
    assert run.saved() == TrainingPoint(1)


@pytest.mark.parametrize("content", [b"", b'{"checkpoint_results": [{"checkp', b"[]"])
def test_heal_finds_the_newest_checkpoint_where_the_note_is_torn(
    run: RunFolder, content: bytes
) -> None:
    save(run, 1)
    save(run, 2)
    run.place.write(SNAPSHOT, content)
    assert run.heal() == "epoch-00002"
    assert run.saved() == TrainingPoint()  # Ray knows of none
    assert run.heal() == "epoch-00002"  # killed again before Ray noted the next


def test_heal_finds_the_newest_checkpoint_where_a_noted_one_is_gone(run: RunFolder) -> None:
    save(run, 1)
    note(run, 1, 2)
    assert run.heal() == "epoch-00001"


@pytest.mark.parametrize("missing", ["state.json", "bone.safetensors"])
def test_heal_passes_over_a_checkpoint_that_is_not_whole(run: RunFolder, missing: str) -> None:
    save(run, 1)
    save(run, 2)
    run.sub("epoch-00002").remove(missing)
    assert run.heal() == "epoch-00001"
    whole = run.sub("epoch-00001").read("bone.safetensors")
    run.sub("epoch-00001").write("bone.safetensors", whole[:-4])
    assert run.heal() == ""


def test_heal_goes_on_within_an_epoch(run: RunFolder) -> None:
    save(run, 1)
    save(run, TrainingPoint(1, 40))
    run.place.write(SNAPSHOT, b"torn")
    assert run.heal() == "epoch-00001-step-0000040"


def test_tidy_leaves_what_is_noted_and_every_epoch(run: RunFolder) -> None:
    for point in (TrainingPoint(1, 40), TrainingPoint(1, 90), 2):
        save(run, point)
    note(run, TrainingPoint(1, 90), 2)
    run.tidy()
    assert [name for name in run.place.names() if name.startswith("epoch-")] == [
        "epoch-00001-step-0000090",
        "epoch-00002",
    ]


def test_layouts_are_noted_where_they_change(run: RunFolder) -> None:
    assert run.layouts() == []
    run.add_layout(TrainingPoint(), 1, 2)
    run.add_layout(TrainingPoint(1, 5), 1, 2)  # the same again, after a failure
    run.add_layout(TrainingPoint(3), 1, 4)
    assert run.layouts() == [[0, 0, 1, 2], [3, 0, 1, 4]]


def test_heal_turns_from_a_damaged_checkpoint_that_ray_would_resume(run: RunFolder) -> None:
    save(run, 1)
    save(run, 2)
    note(run, 1, 2)
    run.sub("epoch-00002").write("bone.safetensors", b"damaged")
    assert run.heal() == "epoch-00001"
    assert run.saved() == TrainingPoint()


def test_result_of_a_run_that_is_not_there_or_unfinished_is_told(run: RunFolder) -> None:
    with pytest.raises(InputError, match="is not there"):
        run.result()
    run.write_json("science.json", {})
    with pytest.raises(InputError, match=r"is unfinished: it has no result\.json"):
        run.result()


def test_result_that_is_not_json_is_told(run: RunFolder) -> None:
    run.place.write("result.json", b"{")
    with pytest.raises(InputError, match=r"result\.json .* is not JSON"):
        run.read_json("result.json")
