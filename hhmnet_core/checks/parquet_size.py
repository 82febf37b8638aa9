"""The memory that a parquet file takes once it is read, from its footer."""

import pyarrow.parquet as pq

from hhmnet_core.checks.memory import check_file_memory

_BYTES_PER_VALUE = {"FLOAT": 8, "INT32": 8}  # with its place in lists
_MOST_BYTES_PER_VALUE = 16
_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}


def check_parquet(file: pq.ParquetFile, what: str, indexed: str = "") -> None:
    """Check the sizes that the footer of a parquet file gives, before its columns are read.

    Run lengths, dictionaries and compression store many values in few bytes.

    Args:
        file: The file, opened.
        what: Its name, for messages.
        indexed: Column of text that is read as indices of its dictionary, and not repeated.

    Raises:
        InputError: More memory than the limit for one file.
        AccessError: More than is free at present.
    """
    size = 0
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    for column in (group.column(number) for group in groups for number in range(group.num_columns)):
        size += column.num_values * _BYTES_PER_VALUE.get(
            column.physical_type, _MOST_BYTES_PER_VALUE
        )
        repeats = (
            column.physical_type.endswith("BYTE_ARRAY")
            and column.path_in_schema != indexed
            and bool(_DICTIONARIES & set(column.encodings))
        )
        # In the worst case every value is the longest entry of the dictionary.
        size += column.total_uncompressed_size * (column.num_values if repeats else 1)
    check_file_memory(size, what)
