"""Score tables of finished runs."""

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable, read_scores
from hhmnet_platform.storage.run_folder import RESULT, RunFolder

SPLITS = ("val", "test")


def load_scores(run: RunFolder, member: str, part: str) -> ScoreTable:
    """A score table of a finished run. Raises InputError where it is lost or damaged."""
    try:
        return read_scores(f"{run.uri}/scores/{member}-{part}.parquet")
    except InputError as error:
        raise InputError(
            f"The finished run {run.name} has lost its scores of {member} on {part} ({error}) "
            f"Delete {run.uri}/{RESULT} and give its command again: it is scored anew."
        ) from error
