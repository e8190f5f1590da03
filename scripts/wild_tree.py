"""Skills as odd as those in the wild: how often each oddity was counted there, and which skill gets which.

`wild_skill.py` says what one skill is, and writes it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from plain_tree import LINES, NOUNS, VERBS
from wild_skill import WildSkill, write_wild_skill

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

_PACKS = ("engineering", "office", "research", "operations")
_UNKNOWN = ("version: 1.2.0", "author: someone", "model: inherit", "user-invocable: true", "tags: [docs, review]")
_METADATA = ("metadata:\n  version: 2", "metadata:\n  draft: false", "metadata:\n  tags: [one, two]")


def make_wild(root: Path, skills: int, *, seed: int = 0) -> None:
    """Writes `skills` skills below `root`, as odd as those in the wild, and different ones for each `seed`."""
    random = Random(seed)
    for number, skill in enumerate(_Draw(skills, random).everything()):
        write_wild_skill(root, number, skill, random)


class _Draw:
    """Draws which skills get which oddity. What cannot go together is taken from one shuffled list."""

    def __init__(self, skills: int, random: Random) -> None:
        self._random = random
        self._share = skills / COUNTED
        self._skills = [self._ordinary(number) for number in range(skills)]

    def everything(self) -> list[WildSkill]:
        """All skills, with all oddities."""
        good = self._shuffled(self._skills)
        self._draw_forms(good)  # takes out what has no readable frontmatter
        self._draw_names(self._shuffled(good))
        self._draw_fields(good)
        self._draw_files(good)
        self._draw_places(self._shuffled(good))
        return self._skills

    def _ordinary(self, number: int) -> WildSkill:
        name = f"{self._random.choice(VERBS)}-{self._random.choice(NOUNS)}-{number:05}"
        description = f"{self._random.choice(LINES)[3:].strip()} Use it for {name}."
        size = min(int(self._random.lognormvariate(math.log(MEDIAN_BYTES), SPREAD)), 30_000)
        return WildSkill(f"{_PACKS[number % len(_PACKS)]}/{name}", name, description, size)

    def _shuffled(self, skills: Sequence[WildSkill]) -> list[WildSkill]:
        return self._random.sample(skills, len(skills))

    def _share_of(self, count: int) -> int:
        # What is left over is drawn for, so that a small tree has a rare oddity now and then, not never.
        exact = count * self._share
        return int(exact) + (self._random.random() < exact % 1)

    def _take(self, pool: list[WildSkill], count: int) -> list[WildSkill]:
        """The share of `count`, taken out of `pool`."""
        share = self._share_of(count)
        taken, pool[:] = pool[:share], pool[share:]
        return taken

    def _some(self, pool: Sequence[WildSkill], count: int) -> list[WildSkill]:
        """The share of `count` among `pool`, which keeps them."""
        return self._random.sample(pool, min(self._share_of(count), len(pool)))

    def _draw_forms(self, pool: list[WildSkill]) -> None:
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

    def _draw_names(self, pool: list[WildSkill]) -> None:
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

    def _draw_fields(self, good: list[WildSkill]) -> None:
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

    def _draw_files(self, good: list[WildSkill]) -> None:
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

    def _draw_places(self, rest: list[WildSkill]) -> None:
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
