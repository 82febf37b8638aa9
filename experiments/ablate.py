"""The command `hhmnet ablate` as a script, such as for `ray job submit`."""

from hhmnet_platform.commands.main import run

if __name__ == "__main__":
    run("ablate")
