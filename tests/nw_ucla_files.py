"""A small zip of skeletons as Northwestern-UCLA publishes them."""

import json
import zipfile
from pathlib import Path


def write_nw_ucla_zip(path: Path, **contents: str) -> Path:
    """Write six recordings, of two subjects seen by three cameras.

    Args:
        path: The zip.
        contents: Other contents of files, by recording, such as a01_s02_e00_v03.
    """
    with zipfile.ZipFile(path, "w") as packed:
        for subject in (1, 2):
            for view in (1, 2, 3):
                name = f"a01_s{subject:02d}_e00_v{view:02d}"
                skeletons = [[[0.1 * view, 0.2, 2.0]] * 20] * (2 * subject)
                good = json.dumps({"file_name": name, "skeletons": skeletons, "label": 1})
                packed.writestr(f"all_sqe/{name}.json", contents.get(name, good))
    return path
