"""Skills and their files by the names that stand in addresses: only what the snapshot lists, and only as the snapshot
knows it.

The path is looked up among the skill's relevant files, so no spelling of it leads anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .. import skill_content
from ..model import Skill, SkillFile, Snapshot
from .refusals import Refusal

# What the guard leaves encoded.
_ENCODED = re.compile("%(2F|25)")


def decode_name(text: str) -> str:
    """A name or a path from an address, of which the guard left slashes and percent signs encoded."""
    return _ENCODED.sub(lambda match: "/" if match[1] == "2F" else "%", text)


def find_skill(snapshot: Snapshot, name: str) -> Skill:
    """The skill called `name`, as it stands in an address: a slash in it is encoded. Raises `Refusal` where there is
    none."""
    found = snapshot.skills.get(decode_name(name))
    if found is None:
        raise Refusal(404, f"there is no skill {name[:100]!r}", "Ask for the snapshot to see which there are.")
    return found


def find_file(skill: Skill, path: str) -> SkillFile:
    """The relevant file of `skill` at the relative `path`, in which slashes may be encoded. Raises `Refusal` where
    there is none."""
    path = decode_name(path)
    found = next((file for file in skill.files if file.path == path), None)
    if found is None:
        raise Refusal(404, f"the skill {skill.name!r} has no relevant file of this path", "Ask for its list of files.")
    return found


def read_skill_file(skill: Skill, file: SkillFile, link_targets: Sequence[Path]) -> bytes:
    """The content of `file`, as it is in the snapshot that `skill` is of.

    Raises `Refusal` where the file is too large, cannot be read, or is another by now. Safe from any thread.
    """
    try:
        return skill_content.read_skill_file(skill, file, link_targets)
    except ValueError as error:
        raise Refusal(413, str(error), "Read it from the disk.") from error
    except PermissionError as error:
        raise Refusal(403, str(error), "Give the server's user permission to read it.") from error
    except FileNotFoundError as error:
        raise Refusal(409, str(error), "Ask for the skill once more, then for the file.", retry_after=1) from error
