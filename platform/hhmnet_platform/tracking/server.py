"""MLflow's server: the environment that it needs, and the password that it asks for."""

import configparser
import os
import secrets
from pathlib import Path

SERVER_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight more processes, of no use to runs
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
BASIC_AUTH = ("--app-name", "basic-auth")  # options of a server that asks for a password


def auth_environment(credentials: Path) -> dict[str, str]:
    """Return the environment of MLflow's authentication; make the password if there is none yet.

    Args:
        credentials: File of the password, in the format of ~/.mlflow/credentials. It is made
            readable to this user alone.
    """
    known = configparser.RawConfigParser()  # a password may hold the % that others expand
    known.read(credentials)
    if not known.has_section("mlflow"):
        known["mlflow"] = {
            "mlflow_tracking_username": "admin",
            "mlflow_tracking_password": secrets.token_urlsafe(24),
        }
        credentials.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(opened, "w") as file:
            known.write(file)
    credentials.chmod(0o600)
    return {
        "MLFLOW_AUTH_ADMIN_PASSWORD": known["mlflow"]["mlflow_tracking_password"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(24),
    }
