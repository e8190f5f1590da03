"""Makes trees of skills of any size, for the benchmark, for tests, and to try things out.

`plain` skills are well-formed and all alike: three files in two subdirectories. `wild` ones are as odd as those that
people publish, at the same rates. `venv` and `svg` are 20 plain skills, one of which holds a great many files that are
no business of a watcher. The same arguments make the same bytes. Nothing here imports `skills_refresh`: what judges the
package must not lean on it.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

# What is odd in skills in the wild: counted over 10,405 SKILL.md of 21 public projects. A tree of so many skills has
# exactly these counts, a smaller one has its share.
COUNTED = 10_405
# The frontmatter, in one of these forms; all others (9,966) are well-formed, or dangling links.
BROKEN_BY_COLON = 74
BROKEN_OTHERWISE = 13
NO_FRONTMATTER = 122
LATE_FRONTMATTER = 13
UNCLOSED_FENCE = 4
# The file.
DANGLING_LINK = 213
LIVE_LINK = 301 - DANGLING_LINK
MISCASED_FILE = 35
NESTED_SKILL = 224
BYTE_ORDER_MARK = 2
CRLF = 58
OVER_500_LINES = 628
OVER_100_KB = 5
LARGEST_BYTES = 294_426
# The name. One with spaces is in title case, and those with a dot have an underscore too: 463 have upper case.
NAME_MISSING = 4
NAME_WITH_SPACES = 455
NAME_IN_UPPER_CASE = 463 - NAME_WITH_SPACES
NAME_WITH_UNDERSCORE = 34 - 3
NAME_WITH_DOT = 3
NAME_WITH_SLASH = 15
NAME_WITH_DOUBLE_HYPHEN = 5
NAME_DIFFERS_FROM_DIRECTORY = 1_651 - 517  # beyond those that break the pattern: a directory has a plain name
NAME_TWICE = 3_191
# The other fields.
DESCRIPTION_MISSING = 1
DESCRIPTION_TOO_LONG = 4
UNKNOWN_FIELDS = 5_695
ALLOWED_TOOLS_BY_COMMA = 2_847
ALLOWED_TOOLS_BY_SPACE = 109
ALLOWED_TOOLS_AS_LIST = 53
METADATA_NOT_STRINGS = 953
# The files beside it: one file at the median, 1,104 at most.
SINGLE_FILE = 5_337
MOST_FILES = 1_104
# The bytes of SKILL.md in 2,202 of them: 6,331 at the median, 14,971 at the ninth decile.
MEDIAN_BYTES = 6_331
SPREAD = math.log(14_971 / MEDIAN_BYTES) / 1.2816

VENV_PACKAGES, FILES_PER_PACKAGE = 424, 26  # 11,024 files
SVG_FILES = 37_439
SVG_STYLES = ("outline", "filled", "duotone", "sharp", "rounded")

_VERBS = "review write plan test deploy explain convert extract compare clean draft trace migrate audit chart".split()
_NOUNS = "tables invoices releases queries diagrams contracts forms logs schemas reports slides images tickets".split()
_PACKS = ("engineering", "office", "research", "operations")
_LINES = tuple(
    f"{number}. {verb.capitalize()} the {noun} — step by step, and say what you found."
    for number, (verb, noun) in enumerate(((verb, noun) for verb in _VERBS for noun in _NOUNS), 1)
)
_UNKNOWN = ("version: 1.2.0", "author: someone", "model: inherit", "user-invocable: true", "tags: [docs, review]")
_METADATA = ("metadata:\n  version: 2", "metadata:\n  draft: false", "metadata:\n  tags: [one, two]")
_BROKEN = ("description: 'it never ends", "tags: [one, two", "\tdescription: a tab", "a: b\n- c")
_ASIDE = ("references/note-{}.md", "scripts/step_{}.py", "assets/figure-{}.png", "templates/page-{}.html")


def make_plain(root: Path, skills: int, *, prefix: str = "skill") -> None:
    """Writes `skills` well-formed skills below `root`: with it, three files and three directories a skill and one."""
    for number in range(skills):
        write_plain_skill(root / f"{prefix}-{number:05}")


def write_plain_skill(directory: Path) -> None:
    """Writes one well-formed skill of three files and two subdirectories."""
    (directory / "scripts").mkdir(parents=True)
    (directory / "references").mkdir()
    (directory / "SKILL.md").write_bytes(plain_skill_text(directory.name))
    (directory / "scripts/run.py").write_bytes(b'"""Does the work."""\n\nprint("done")\n')
    (directory / "references/notes.md").write_bytes(b"# Notes\n\nWhat is good to know.\n")


def plain_skill_text(name: str, remark: str = "") -> bytes:
    """The `SKILL.md` of a plain skill, about 700 bytes; `remark` is its last line."""
    body = "\n".join(_LINES[:8])
    description = f"Does what {name} is for. Use it when the user asks for {name}, or for something like it."
    return f"---\nname: {name}\ndescription: {description}\n---\n\n# {name}\n\n{body}\n{remark}\n".encode()


def make_venv(root: Path, skills: int = 20) -> None:
    """Writes plain skills, the first of them with a `.venv` of 11,024 files."""
    make_plain(root, skills)
    packages = root / "skill-00000/.venv/lib/python3.11/site-packages"
    for package in range(VENV_PACKAGES):
        directory = packages / f"package_{package:03}"
        directory.mkdir(parents=True)
        for module in range(FILES_PER_PACKAGE):
            (directory / f"module_{module:02}.py").write_bytes(b"VALUE = 1\n")


def make_svg(root: Path, skills: int = 20) -> None:
    """Writes plain skills, the first of them with an icon pack of 37,439 SVGs in a handful of directories."""
    make_plain(root, skills)
    directories = [root / "skill-00000/assets/icons" / style for style in SVG_STYLES]
    for directory in directories:
        directory.mkdir(parents=True)
    for number in range(SVG_FILES):
        icon = directories[number % len(directories)] / f"icon-{number:05}.svg"
        icon.write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>\n')


def make_wild(root: Path, skills: int, *, seed: int = 0) -> None:
    """Writes `skills` skills below `root`, as odd as those in the wild, and different ones for each `seed`."""
    random = Random(seed)
    for number, skill in enumerate(_Draw(skills, random).everything()):
        _write(root, number, skill, random)


@dataclass(slots=True)
class _Skill:
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


class _Draw:
    """Draws which skills get which oddity. What cannot go together is taken from one shuffled list."""

    def __init__(self, skills: int, random: Random) -> None:
        self._random = random
        self._share = skills / COUNTED
        self._skills = [self._ordinary(number) for number in range(skills)]

    def everything(self) -> list[_Skill]:
        """All skills, with all oddities."""
        good = self._shuffled(self._skills)
        self._draw_forms(good)  # takes out what has no readable frontmatter
        self._draw_names(self._shuffled(good))
        self._draw_fields(good)
        self._draw_files(good)
        self._draw_places(self._shuffled(good))
        return self._skills

    def _ordinary(self, number: int) -> _Skill:
        name = f"{self._random.choice(_VERBS)}-{self._random.choice(_NOUNS)}-{number:05}"
        description = f"{self._random.choice(_LINES)[3:].strip()} Use it for {name}."
        size = min(int(self._random.lognormvariate(math.log(MEDIAN_BYTES), SPREAD)), 30_000)
        return _Skill(f"{_PACKS[number % len(_PACKS)]}/{name}", name, description, size)

    def _shuffled(self, skills: Sequence[_Skill]) -> list[_Skill]:
        return self._random.sample(skills, len(skills))

    def _share_of(self, count: int) -> int:
        # What is left over is drawn for, so that a small tree has a rare oddity now and then, not never.
        exact = count * self._share
        return int(exact) + (self._random.random() < exact % 1)

    def _take(self, pool: list[_Skill], count: int) -> list[_Skill]:
        """The share of `count`, taken out of `pool`."""
        share = self._share_of(count)
        taken, pool[:] = pool[:share], pool[share:]
        return taken

    def _some(self, pool: Sequence[_Skill], count: int) -> list[_Skill]:
        """The share of `count` among `pool`, which keeps them."""
        return self._random.sample(pool, min(self._share_of(count), len(pool)))

    def _draw_forms(self, pool: list[_Skill]) -> None:
        forms = {
            "broken by a colon": BROKEN_BY_COLON,
            "broken otherwise": BROKEN_OTHERWISE,
            "none": NO_FRONTMATTER,
            "late": LATE_FRONTMATTER,
            "unclosed": UNCLOSED_FENCE,
        }
        for form, count in forms.items():
            for skill in self._take(pool, count):
                skill.form = form
        for skill in self._take(pool, DANGLING_LINK):
            skill.links = "dangling"

    def _draw_names(self, pool: list[_Skill]) -> None:
        spellings: list[tuple[int, Callable[[str], str | None]]] = [
            (NAME_MISSING, lambda name: None),
            (NAME_WITH_SPACES, lambda name: name.replace("-", " ").title()),
            (NAME_IN_UPPER_CASE, str.capitalize),
            (NAME_WITH_UNDERSCORE, lambda name: name.replace("-", "_")),
            (NAME_WITH_DOT, lambda name: name.replace("-", "_", 1).replace("-", ".")),
            (NAME_WITH_SLASH, lambda name: name.replace("-", "/", 1)),
            (NAME_WITH_DOUBLE_HYPHEN, lambda name: name.replace("-", "--", 1)),
            (NAME_DIFFERS_FROM_DIRECTORY, lambda name: f"better-{name}"),
        ]
        for count, spell in spellings:
            for skill in self._take(pool, count):
                skill.name = spell(skill.name or "")
        twins = self._take(pool, NAME_TWICE)
        for number, skill in enumerate(twins[1:], 1):
            # In pairs; the last one of an odd number joins the pair before it.
            if number % 2 or number == len(twins) - 1:
                twin = twins[number - 1]
                skill.name = twin.name
                skill.directory = f"mirror/{number}/{os.path.basename(twin.directory)}"

    def _draw_fields(self, good: list[_Skill]) -> None:
        for skill in self._some(good, UNKNOWN_FIELDS):
            skill.fields += self._random.sample(_UNKNOWN, self._random.randint(1, 3))
        for skill in self._some(good, METADATA_NOT_STRINGS):
            skill.fields.append(self._random.choice(_METADATA))
        rest = self._shuffled(good)
        for count, line in (
            (ALLOWED_TOOLS_BY_COMMA, "allowed-tools: Read, Write, Grep"),
            (ALLOWED_TOOLS_BY_SPACE, "allowed-tools: Read Grep Bash(git:*)"),
            (ALLOWED_TOOLS_AS_LIST, "allowed-tools:\n  - Read\n  - Grep"),
        ):
            for skill in self._take(rest, count):
                skill.fields.append(line)
        rest = self._shuffled(good)
        for skill in self._take(rest, DESCRIPTION_MISSING):
            skill.description = None
        for skill in self._take(rest, DESCRIPTION_TOO_LONG):
            skill.description = " ".join([skill.description or ""] * 20)

    def _draw_files(self, good: list[_Skill]) -> None:
        for skill in self._some(good, BYTE_ORDER_MARK):
            skill.byte_order_mark = True
        for skill in self._some(good, CRLF):
            skill.crlf = True
        long = self._some(good, OVER_500_LINES)
        for skill in long:
            skill.size = self._random.randint(40_000, 95_000)
        for number, skill in enumerate(self._take(long, OVER_100_KB)):
            skill.size = self._random.randint(101_000, 200_000) if number else LARGEST_BYTES
        rest = self._shuffled(self._skills)
        self._take(rest, SINGLE_FILE)
        for skill in rest:
            skill.files = min(1 + int(self._random.paretovariate(1.2)), 400)
        for skill in self._take(rest, 1):
            skill.files = MOST_FILES

    def _draw_places(self, rest: list[_Skill]) -> None:
        for skill in self._take(rest, LIVE_LINK):
            skill.links = "live"
        for number, skill in enumerate(self._take(rest, MISCASED_FILE)):
            skill.file_name = ("skill.md", "Skill.md")[number % 2]
        nested = self._take(rest, NESTED_SKILL)
        hosts = [skill for skill in rest if skill.files > 1]  # one that is a single file would not stay so
        for skill in nested:
            if hosts:
                host = self._random.choice(hosts)
                skill.directory = f"{host.directory}/skills/{os.path.basename(skill.directory)}"


def _write(root: Path, number: int, skill: _Skill, random: Random) -> None:
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


def _text(skill: _Skill, number: int, random: Random) -> bytes:
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
    start = random.randrange(len(_LINES))
    while size < skill.size:
        lines.append(_LINES[(start + len(lines)) % len(_LINES)])
        size += len(lines[-1]) + 3
    text = ("\n".join(lines) + "\n").encode()
    if skill.crlf:
        text = text.replace(b"\n", b"\r\n")
    return b"\xef\xbb\xbf" + text if skill.byte_order_mark else text


def main() -> None:
    """The command line."""
    kinds: dict[str, Callable[[Path, argparse.Namespace], None]] = {
        "plain": lambda root, given: make_plain(root, given.skills),
        "wild": lambda root, given: make_wild(root, given.skills, seed=given.seed),
        "venv": lambda root, given: make_venv(root, given.skills),
        "svg": lambda root, given: make_svg(root, given.skills),
    }
    parser = argparse.ArgumentParser(description="Makes a tree of skills.")
    parser.add_argument("directory", type=Path, help="where to; it is made, or must be empty")
    parser.add_argument("--skills", type=int, default=20, metavar="N", help="how many skills (default: 20)")
    parser.add_argument("--kind", choices=kinds, default="plain", help="what kind of tree (default: plain)")
    parser.add_argument("--seed", type=int, default=0, help="another one, another wild tree (default: 0)")
    given = parser.parse_args()
    root: Path = given.directory
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        parser.error(f"{root}: is not empty; name another directory, or empty it first")
    kinds[given.kind](root, given)
    made = [(len(directories), len(files)) for _, directories, files in os.walk(root)]
    print(f"{root}: {sum(files for _, files in made):,} files in {1 + sum(below for below, _ in made):,} directories")


if __name__ == "__main__":
    main()
