"""What may be fused, and what is left out."""

from pathlib import Path

from hhmnet_platform.fusion.candidates import untracked
from hhmnet_platform.storage.workspace import Workspace

OF_CLIPS = {"dataset": "clips", "protocol": "xsub", "selection": "val"}


def test_finished_runs_that_mlflow_lacks_are_told(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for name, result, tracked in (
        ("held", OF_CLIPS, True),
        ("lacking", OF_CLIPS, False),
        ("of-another-protocol", OF_CLIPS | {"protocol": "xview"}, False),
        ("that-chose-nothing", OF_CLIPS | {"selection": "literature"}, False),
        ("unfinished", None, False),
    ):
        run = workspace.run(name)
        run.write_json("science.json", {})
        if result:
            run.write_json("result.json", result)
        if tracked:
            run.write_json("tracked.json", {"page": ""})
    (tmp_path / "runs" / ".DS_Store").write_bytes(b"\0")
    damaged = tmp_path / "runs" / "damaged"
    damaged.mkdir()
    (damaged / "result.json").write_text('{"dataset": ')
    workspace.run("of-others").write_json("result.json", {"accuracy": 1})
    (lacking,) = untracked(workspace, "clips/xsub")
    assert lacking.name == "lacking"
    assert lacking.reason.startswith(f"is finished in {tmp_path}, but not all of it is in MLflow")
    assert not untracked(Workspace(str(tmp_path / "nowhere")), "clips/xsub")
