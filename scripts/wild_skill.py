"""One skill as odd as those in the wild: what is odd about it, and its bytes on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from plain_tree import LINES

_BROKEN = ("description: 'it never ends", "tags: [one, two", "\tdescription: a tab", "a: b\n- c")
_ASIDE = ("references/note-{}.md", "scripts/step_{}.py", "assets/figure-{}.png", "templates/page-{}.html")


@dataclass(slots=True)
class WildSkill:
    """One skill to write. `name` and `description` are None where the field is missing; `links` is "live" or
    "dangling"; `files` counts its `SKILL.md` too."""

    directory: str
    name: str | None
    description: str | None
    size: int
    form: str = "well-formed"
    fields: list[str] = field(default_factory=list)
    file_name: str = "SKILL.md"
    links: str = ""
    byte_order_mark: bool = False
    crlf: bool = False
    files: int = 1


def write_wild_skill(root: Path, number: int, skill: WildSkill, random: Random) -> None:
    """Writes `skill`, the one of that `number`, below `root`."""
    directory = root / skill.directory
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / skill.file_name
    if skill.links:
        # One text for several agents, kept elsewhere, is what people link to.
        text = root / "texts" / f"{number:05}.md"
        path.symlink_to(os.path.relpath(text, directory))
        path = text
        path.parent.mkdir(exist_ok=True)
    if skill.links != "dangling":
        path.write_bytes(_text(skill, number, random))
    for aside in range(skill.files - 1):
        path = directory / _ASIDE[aside % len(_ASIDE)].format(aside)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"Something beside {skill.directory}, number {aside}.\n".encode())


def _text(skill: WildSkill, number: int, random: Random) -> bytes:
    """The bytes of its `SKILL.md`, at least `skill.size` of them."""
    fields = [] if skill.name is None else [f"name: {skill.name}"]
    if skill.description is not None:
        fields.append(f'description: "{skill.description}"')
    fields += skill.fields
    if skill.form == "broken by a colon":
        fields[1] = f"description: Two steps: {skill.name} first"
    elif skill.form == "broken otherwise":
        fields.append(_BROKEN[number % len(_BROKEN)])
    header = "---\n" + "\n".join(fields) + "\n---\n"
    if skill.form == "none":
        header = ""
    elif skill.form == "late":
        header = ("# A title\n\n", "<!-- a comment -->\n", "```yaml\n", "\n")[number % 4] + header
    elif skill.form == "unclosed":
        header = header[: -len("---\n")] if number % 2 else "-" + header
    lines = [header, f"# {skill.name}\n"]
    size = sum(map(len, lines)) + 2  # the dashes in the lines below take two bytes more
    start = random.randrange(len(LINES))
    while size < skill.size:
        lines.append(LINES[(start + len(lines)) % len(LINES)])
        size += len(lines[-1]) + 3
    text = ("\n".join(lines) + "\n").encode()
    if skill.crlf:
        text = text.replace(b"\n", b"\r\n")
    return b"\xef\xbb\xbf" + text if skill.byte_order_mark else text
