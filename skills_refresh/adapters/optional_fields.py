"""The optional fields of the specification, in the types that frameworks want.

The frontmatter is kept as people wrote it, read-only: a text may be a number there, a list one line. The classes of
frameworks have fields of fixed types. Source: https://agentskills.io/specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..freezing import plain
from ..model import Skill


class OptionalFields(NamedTuple):
    """What a skill may say beside its name and description; None or empty where it does not. `metadata` holds plain
    values, dictionaries and lists among them."""

    license: str | None
    compatibility: str | None
    metadata: dict[str, object]
    allowed_tools: list[str]

    def metadata_texts(self) -> dict[str, str]:
        """`metadata` as the specification has it, which knows only texts."""
        return {key: str(value) for key, value in self.metadata.items()}


def optional_fields(skill: Skill) -> OptionalFields:
    """The optional fields of `skill`. Never raises: what cannot be read as such a field counts as left out."""
    fields = skill.frontmatter
    metadata = fields.get("metadata")
    return OptionalFields(
        license=_text(fields.get("license")),
        compatibility=_text(fields.get("compatibility")),
        metadata={str(key): plain(value) for key, value in metadata.items()} if isinstance(metadata, Mapping) else {},
        allowed_tools=_names(fields.get("allowed-tools")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _names(value: object) -> list[str]:
    """Names as a list, whether they were written as one or, as the specification has it, in one line."""
    if isinstance(value, str):
        # With commas too: that is how the field is written in the skills of Claude Code.
        return value.replace(",", " ").split()
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else []
