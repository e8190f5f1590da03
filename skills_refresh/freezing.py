"""Frontmatter as it is kept, which nobody can change, and as plain lists and dictionaries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def frozen(value: object) -> object:
    """`value` with read-only mappings and tuples in the place of dictionaries and lists."""
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(item) for name, item in value.items()})
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def plain(value: object) -> object:
    """`value` with dictionaries and lists again."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value
