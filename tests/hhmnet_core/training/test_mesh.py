"""Coordinates and shares of the mesh, and the shapes that it refuses."""

from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist

from hhmnet_core.errors import InputError
from hhmnet_core.training import mesh
from hhmnet_core.training.mesh import Mesh, check_modality_parallel, pack_groups


@pytest.mark.parametrize(("workers", "parallel"), [(1, 1), (2, 2), (4, 4), (8, 4), (3, 1), (6, 2)])
def test_meshes_that_fit(workers: int, parallel: int) -> None:
    check_modality_parallel(workers, parallel)


@pytest.mark.parametrize(
    ("workers", "parallel", "message"),
    [
        (8, 8, "must be 1, 2 or 4 .* but is 8"),
        (3, 3, "must be 1, 2 or 4 .* but is 3"),
        (6, 4, "6 workers cannot be split .*modality_parallel=4: give a multiple of 4"),
        (0, 1, "0 workers cannot be split"),
    ],
)
def test_meshes_that_do_not_fit_are_named(workers: int, parallel: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_modality_parallel(workers, parallel)


def test_rows_divide_a_batch_evenly() -> None:
    mesh = Mesh()
    mesh.data = 3
    shares = []
    for mesh.data_rank in range(3):
        shares.append(mesh.rows(8))
    assert [share.start for share in shares] == [0, *[share.stop for share in shares[:-1]]]
    assert shares[-1].stop == 8
    assert sorted(share.stop - share.start for share in shares) == [2, 3, 3]


@pytest.mark.parametrize(
    ("rank", "data_rank", "modality_rank", "modalities"),
    [
        (0, 0, 0, ("joint", "bone")),
        (1, 0, 1, ("joint_motion", "bone_motion")),
        (2, 1, 0, ("joint", "bone")),
        (3, 1, 1, ("joint_motion", "bone_motion")),
    ],
)
def test_coordinates_in_a_mesh_of_two_by_two(
    rank: int, data_rank: int, modality_rank: int, modalities: tuple[str, ...]
) -> None:
    with (
        patch.object(dist, "is_initialized", return_value=True),
        patch.object(dist, "get_world_size", return_value=4),
        patch.object(dist, "get_rank", return_value=rank),
        patch.object(mesh, "DeviceMesh") as device_mesh,
    ):
        ours = Mesh(2)
    assert (ours.rank, ours.data_rank, ours.modality_rank) == (rank, data_rank, modality_rank)
    assert (ours.data, ours.modality, ours.modalities) == (2, 2, modalities)
    assert device_mesh.call_args.args[1].tolist() == [[0, 1], [2, 3]]


def test_one_process_hosts_all_and_passes_tensors_through() -> None:
    mesh = Mesh()
    assert mesh.modalities == ("joint", "bone", "joint_motion", "bone_motion")
    local = torch.ones(4, 5, 2)
    assert mesh.gather(local, 5) is local
    assert mesh.sum_by_modality(local) is local
    assert mesh.maximum([1.0, -2.0]) == [1.0, -2.0]
    mesh.sum_over_data([local])
    assert (local == 1).all()
    assert Mesh.alone(4).modalities == ("joint",)


def test_processes_of_a_node_share_the_memory_of_its_cpu_not_of_gpus() -> None:
    def sharers(device: str, nodes: list[str] | None) -> int:
        with (
            patch.object(dist, "is_initialized", return_value=True),
            patch.object(dist, "get_world_size", return_value=3),
            patch.object(dist, "get_rank", return_value=2),
            patch.object(mesh, "DeviceMesh"),
        ):
            return mesh.Mesh(1, torch.device(device), nodes).sharers

    assert sharers("cpu", ["a", "b", "a"]) == 2
    assert sharers("cpu", None) == 3
    assert sharers("cuda", ["a", "b", "a"]) == 1
    assert Mesh().sharers == 1


@pytest.mark.parametrize(
    ("nodes", "group", "order"),
    [
        ("aabb", 2, [0, 1, 2, 3]),
        ("aaab", 2, [0, 1, 2, 3]),  # one group has to lie on two nodes
        ("aaabbbcc", 2, [0, 1, 3, 4, 6, 7, 2, 5]),
        ("aaabbbbb", 4, [3, 4, 5, 6, 0, 1, 2, 7]),
        ("abab", 2, [0, 2, 1, 3]),
        ("abc", 1, [0, 1, 2]),
    ],
)
def test_groups_lie_on_one_node_where_they_fit(nodes: str, group: int, order: list[int]) -> None:
    assert pack_groups(nodes, group) == order


def test_some_modalities_are_trained_in_their_usual_order() -> None:
    mesh = Mesh.of(["bone_motion", "joint"])
    assert mesh.trained == mesh.modalities == ("joint", "bone_motion")


@pytest.mark.parametrize("modalities", [[], ["joint", "joint"], ["joints"]])
def test_modalities_that_cannot_be_trained_are_named(modalities: list[str]) -> None:
    with pytest.raises(InputError, match="modalities must be different ones of joint, bone, "):
        Mesh.of(modalities)
