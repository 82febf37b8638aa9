"""Score tables of finished runs."""

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.fusion.scores import ScoreTable, read_scores
from hhmnet_platform.storage.results import RESULT
from hhmnet_platform.storage.run_folder import RunFolder

SPLITS = ("val", "test")
SCORES = "scores"


def scores_file(member: str, split: str) -> str:
    """Return the name of a score table's file, in the run's folder."""
    return f"{SCORES}/{member}-{split}.parquet"


def load_scores(run: RunFolder, member: str, split: str) -> ScoreTable:
    """Return a score table of a finished run.

    Raises:
        InputError: A table that is missing, damaged, or another one of its kind.
        AccessError: A table that cannot be read at present.
    """
    try:
        table = read_scores(f"{run.uri}/{scores_file(member, split)}")
        if (table.modality, table.split) != (member, split):
            raise InputError(
                f"{scores_file(member, split)} holds those of {table.modality} on {table.split}."
            )
        return table
    except AccessError:
        raise
    except InputError as error:
        raise InputError(
            f"The finished run {run.name} has no readable scores of {member} on {split} ({error}) "
            f"Delete {run.uri}/{RESULT} and give its command again: it is scored again."
        ) from error


def load_all_scores(run: RunFolder, member: str) -> dict[str, ScoreTable]:
    """Return the score tables of a member by split: test, and val where there is one.

    Raises InputError where one is missing or damaged.
    """
    names = set(run.sub(SCORES).names())
    held = [split for split in SPLITS if f"{member}-{split}.parquet" in names or split == "test"]
    return {split: load_scores(run, member, split) for split in held}
