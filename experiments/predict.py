"""Predict the actions of recordings, or of a camera or stream, with a trained model.

For example: predict.py --model workspace/runs/NAME --input clip.npy
             predict.py --model NAME --input recordings/ --window 2s --fps 30 --out actions.csv
             predict.py --model NAME --input rtsp://camera/stream --out actions.jsonl
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.serving.job import PredictJob
    from hhmnet_platform.serving.predict import run_predict

    job = parse_config("predict.py", __doc__, PredictJob)
    return lambda: run_predict(job)


if __name__ == "__main__":
    run_script(load)
