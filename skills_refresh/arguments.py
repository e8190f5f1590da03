"""What callers and configurations give, checked where it is given: far inside it would look like a bug of ours.

Each returns a value that may be used; for one that may not it raises `ConfigError`, which names it by `place`.
"""

from __future__ import annotations

from .errors import ConfigError


def whole_number(place: str, value: object) -> int:
    """`value`, a whole number above 0."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigError(f"{place} is {value!r}; it must be a whole number above 0")


def version(place: str, value: object) -> int:
    """`value`, the version of a snapshot, or a number below all of them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ConfigError(f"{place} is {value!r}; it must be a version, which is a whole number")


def time_to_live(place: str, value: object) -> float | None:
    """`value`, a number of seconds, or None."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigError(f"{place} is {value!r}; it must be a number of seconds above 0, or None for never")


def strings(place: str, value: object) -> tuple[str, ...]:
    """`value`, several strings: nobody who gives one where several are asked for means its letters."""
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConfigError(f"{place} is {value!r}; it must be a list of strings")


def switch(place: str, value: object) -> bool | None:
    """`value`, yes, no, or what is best."""
    if value is None or isinstance(value, bool):
        return value
    raise ConfigError(f"{place} is {value!r}; it must be True, False or None")


def function(place: str, value: object) -> object:
    """`value`, which can be called."""
    if callable(value):
        return value
    raise ConfigError(f"{place} is {value!r}; it must be a function")
