from hhmnet_platform.cluster.mesh_plan import make_plan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.launch import mesh_tags


def test_tags_of_an_elastic_run_hold_the_range_of_its_workers() -> None:
    gpus = Resources("the cluster", ((16, 4), (16, 4)))
    assert mesh_tags(make_plan(gpus, workers="2:8")) == {
        "hhmnet.workers": "2:8",
        "hhmnet.modality_parallel": "4, 2 or 1",
        "hhmnet.device": "cuda",
    }


def test_tags_of_a_fixed_mesh() -> None:
    assert mesh_tags(make_plan(Resources("this machine", ((2, 0),)))) == {
        "hhmnet.workers": "2",
        "hhmnet.modality_parallel": "2",
        "hhmnet.device": "cpu",
    }
