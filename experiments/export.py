"""Export a trained model: as a folder that stands alone, as ONNX, or as pt2 of torch.export."""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.serving.export import ExportJob, run_export

    job = parse_config("export.py", __doc__, ExportJob)
    return lambda: run_export(job)


if __name__ == "__main__":
    run_script(load)
