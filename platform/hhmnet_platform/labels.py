"""What tables say alike: figures without copies of training clips, and clips that are in none."""

# In JSON, at the head of a column, in MLflow.
WITHOUT_COPIES_KEY, WITHOUT_COPIES_HEADING = "test_top1_without_copies", "test without copies"
WITHOUT_COPIES_METRIC = "test/top1_without_copies"


def copies_note(copies: int) -> str | None:
    """What stands below a table; None where test has no copies."""
    if copies == 1:
        return "1 test clip is a copy of a training clip"
    return f"{copies} test clips are copies of training clips" if copies else None


def not_filmed_note(clips: int) -> str | None:
    """The same, of a table whose rows count the test clips with a video alone."""
    if not clips:
        return None
    return f"{clips} test {'clip' if clips == 1 else 'clips'} without video, in no row"


def percent(share: float | None) -> str:
    """A cell: a share, or a dash for none."""
    return "-" if share is None else f"{share:.1%}"
