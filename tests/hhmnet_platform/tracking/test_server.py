"""The password that MLflow's server asks for."""

import stat
from pathlib import Path

from hhmnet_platform.tracking.server import auth_environment

PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"


def test_password_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    credentials = tmp_path / "new" / "credentials"
    first = auth_environment(credentials)[PASSWORD]
    assert len(first) >= 32
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(credentials.parent.stat().st_mode) == 0o700
    credentials.chmod(0o644)
    assert auth_environment(credentials)[PASSWORD] == first
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
