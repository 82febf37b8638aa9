"""Makes reads of a local file fail in every Python process that has this folder on its path."""

import os

if _name := os.environ.get("HHMNET_FAILING_FILE"):
    from failing_files import fail_reads_from_now_on

    fail_reads_from_now_on(_name)
