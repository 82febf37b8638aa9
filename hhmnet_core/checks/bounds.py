"""Bounds of the numbers in configs: without one, a typing error costs hours or all memory."""

from typing import Any

from hhmnet_core.errors import InputError

MAX_SEED = 2**63 - 1  # the largest whole number that is read from a JSON file


def check_bounds(config: Any, prefix: str, **bounds: tuple[float, float]) -> None:
    """Check fields of a config that hold a number or a list of numbers.

    Args:
        config: The config.
        prefix: Start of the fields' names in messages, such as "model.".
        bounds: Smallest and largest value of each field, and of each number in a list.

    Raises:
        InputError: A number outside its bounds, or one that is not a number.
    """
    for name, (smallest, largest) in bounds.items():
        value = getattr(config, name)
        numbers = value if isinstance(value, list) else [value]
        if None in numbers or not all(smallest <= number <= largest for number in numbers):
            each = "values of " if isinstance(value, list) else ""
            raise InputError(
                f"{each}{prefix}{name} must be {smallest} to {largest}, but "
                f"{'are' if each else 'is'} {str(value)[:100]}."
            )
