"""`SkillFilter`: what is relevant. One policy for the planner, the scan and the events.

Rules: paths are looked at relative to their root, component by component, so a root below a folder called `.venv`
works. Directories are excluded by name (everywhere, or only inside a skill) and by gitignore-style patterns; files are
allowed by extension or by name. A decision is a sentence that names the rule, or None: what a user can ask about, the
machine decides with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from watchfiles import BaseFilter, Change

from .errors import ConfigError
from .opening import DirectoryOpener, is_below
from .reading import read_target
from .settings import Settings

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SKILL_FILE = "SKILL.md"
IGNORE_FILE = ".skillsignore"
# Each path is matched against each line; real files of this kind have some ten lines.
MAX_IGNORE_BYTES = 64_000
MAX_IGNORE_LINES = 1_000
# Most names below a skill are SKILL.md, scripts, run.py and the like, so verdicts on so many names are remembered.
REMEMBERED_NAMES = 1_024

EXTENSIONS = frozenset(
    ".md .mdx .markdown .txt .rst .py .pyi .js .mjs .cjs .jsx .ts .mts .cts .tsx .json .jsonc .json5 .jsonl .yaml .yml "
    ".toml .ini .cfg .conf .sh .bash .zsh .fish .ps1 .bat .cmd .rb .pl .lua .r .go .rs .java .sql .html .css .xml .csv "
    ".j2 .jinja .tmpl".split()
)
NAMES = frozenset(("Makefile", "Dockerfile", "LICENSE", "NOTICE", "README"))

# Never a skill and never part of one: caches, version control, installed packages.
EXCLUDED_EVERYWHERE = frozenset(
    ".git .hg .svn .jj node_modules bower_components .venv venv __pycache__ site-packages __pypackages__ .mypy_cache "
    ".pytest_cache .ruff_cache .tox .nox .hypothesis .eggs .cache .next .nuxt .gradle .idea .vscode".split()
)
EXCLUDED_SUFFIX = ".egg-info"
# Products of a build; but a skill itself may well be called so, hence only inside a skill.
EXCLUDED_IN_SKILL = frozenset("build dist target out vendor env coverage".split())


class _Rules(NamedTuple):
    """What all filters of the same settings share; with 1,000 roots that is 8 kB for each. `patterns` are those of
    `spec`, `verdicts` what was decided of names."""

    extensions: frozenset[str]
    names: frozenset[str]
    patterns: tuple[str, ...]
    spec: GitIgnoreSpec | None
    verdicts: dict[str, str | None]


class SkillFilter(BaseFilter):
    """Decides which paths below some roots matter to skills.

    The engine asks it three questions: `prunes` (may the planner leave this directory out), `reads` (does the scan read
    this file) and, as the callable that watchfiles expects, whether an event is relevant. The last also works alone::

        for changes in watchfiles.watch("skills", watch_filter=SkillFilter("skills")):
            ...

    Where no roots are given, every component of an event's path counts. `extensions`, `names` and `patterns` add to
    the defaults; patterns are gitignore-style lines, relative to each root, and `!pattern` takes an exclude back.

    Raises `ConfigError` for a pattern or an extension that is none. Safe from any thread.
    """

    ignore_dirs = ()  # BaseFilter would match them against absolute paths.

    def __init__(
        self,
        *roots: str | os.PathLike[str],
        extensions: Iterable[str] = (),
        names: Iterable[str] = (),
        patterns: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._roots = tuple(os.path.abspath(os.path.expanduser(root)) for root in roots) or (os.path.abspath(os.sep),)
        self._rules = _make_rules(tuple(_several(extensions)), tuple(_several(names)), tuple(_several(patterns)))
        self._spec, self._patterns = self._rules.spec, self._rules.patterns

    def why_pruned(self, directory: str, *, in_skill: bool) -> str | None:
        """The rule by which `directory` (relative to its root, forward slashes) is left out, or None.

        `in_skill` says whether a directory above it holds a `SKILL.md`. It judges the last component alone; those
        above it have been judged on the way.
        """
        if self._spec is not None:
            verdict = self._spec.check_file(directory + "/")
            if verdict.include is not None:
                return f"pattern {self._patterns[verdict.index or 0]!r}" if verdict.include else None
        return _why_name_pruned(directory.rpartition("/")[2], in_skill)

    def why_skipped(self, file: str) -> str | None:
        """The rule by which `file` (relative to its root, forward slashes) is not read, or None. Judges the last
        component alone."""
        name = file.rpartition("/")[2]
        if self._spec is not None:
            verdict = self._spec.check_file(file)
            if verdict.include:
                return f"pattern {self._patterns[verdict.index or 0]!r}"
            if verdict.include is None and name.startswith("."):
                return "hidden"
        elif name.startswith("."):
            return "hidden"
        verdicts = self._rules.verdicts
        try:
            return verdicts[name]
        except KeyError:
            why = self._judge_name(name)
        if len(verdicts) >= REMEMBERED_NAMES:
            verdicts.clear()
        verdicts[name] = why
        return why

    def _judge_name(self, name: str) -> str | None:
        if name in self._rules.names:
            return None
        stem, dot, extension = name.rpartition(".")
        if stem and dot and "." + extension.lower() in self._rules.extensions:
            return None
        return "extension not allowed"

    def prunes(self, directory: str, *, in_skill: bool) -> bool:
        """Whether the planner leaves `directory` out, with all below it."""
        return self.why_pruned(directory, in_skill=in_skill) is not None

    def reads(self, file: str) -> bool:
        """Whether the scan reads `file`."""
        return self.why_skipped(file) is None

    def __call__(self, change: Change, path: str) -> bool:
        """Whether an event at `path` is relevant to one of the roots, for use as a `watch_filter`.

        A directory is relevant when it is not excluded. What was deleted can no longer be asked whether it was a
        directory: without an extension it may have been one, and counts.
        """
        path = os.path.abspath(path)
        return any(
            self._is_relevant(change, path, root)
            for root in self._roots
            if path == root or path.startswith(root.rstrip(os.sep) + os.sep)
        )

    def _is_relevant(self, change: Change, path: str, root: str) -> bool:
        relative = path[len(root) :].strip(os.sep).replace(os.sep, "/")
        if not relative:
            return True
        parts = relative.split("/")
        for count in range(1, len(parts)):
            if self._prunes_on_disk(root, parts[:count]):
                return False
        if self.reads(relative):
            return True
        may_be_directory = os.path.isdir(path) or (change == Change.deleted and "." not in parts[-1][1:])
        return may_be_directory and not self._prunes_on_disk(root, parts)

    def _prunes_on_disk(self, root: str, parts: list[str]) -> bool:
        directory = "/".join(parts)
        if self.prunes(directory, in_skill=False):
            return True
        if not self.prunes(directory, in_skill=True):
            return False
        above = (os.path.join(root, *parts[:count]) for count in range(len(parts)))
        return any(os.path.lexists(os.path.join(directory, SKILL_FILE)) for directory in above)

    def __repr__(self) -> str:
        return f"SkillFilter({', '.join(map(repr, self._roots))}, patterns={self._patterns!r})"


def check_settings(settings: object) -> None:
    """Raises `ConfigError` where `settings` are none, or hold a pattern or an extension that is none."""
    if not isinstance(settings, Settings):
        raise ConfigError(f"settings is {settings!r}; it must be a Settings, such as Settings(max_depth=3)")
    SkillFilter(extensions=settings.extensions, names=settings.names, patterns=settings.exclude)


@lru_cache(REMEMBERED_NAMES)
def _why_name_pruned(name: str, in_skill: bool) -> str | None:
    if name == SKILL_FILE:
        return "SKILL.md is a file"
    if name.startswith(".") and is_hidden(name):
        return "hidden"
    if name in EXCLUDED_EVERYWHERE or name.endswith(EXCLUDED_SUFFIX):
        return "excluded everywhere"
    if in_skill and name in EXCLUDED_IN_SKILL:
        return "excluded inside a skill"
    return None


def is_hidden(name: str) -> bool:
    """Whether `name` is left out for its leading dot alone, and not for being known as a cache and the like."""
    return name.startswith(".") and name not in EXCLUDED_EVERYWHERE


def ignore_file_patterns(root: str) -> tuple[str, ...]:
    """The lines of the `.skillsignore` in `root`, a real path; none where there is no such file.

    Raises `ConfigError` where it is no file that may be read, `OSError`, `UnicodeError`.
    """
    try:
        path = os.path.realpath(os.path.join(root, IGNORE_FILE))
    except FileNotFoundError:  # it was a link, and went away meanwhile
        return ()
    if not is_below(path, root):
        raise ConfigError(f"is a link to {path}, outside of the root; copy that file")
    try:
        with DirectoryOpener((root,)) as opener:
            entry = read_target(path, opener, MAX_IGNORE_BYTES)
    except FileNotFoundError:
        return ()
    if entry.error is not None:
        code, message = entry.error
        raise OSError(message) if code in ("unreadable", "no-descriptor") else ConfigError(message)
    lines = entry.data.decode("utf-8-sig").splitlines() if entry.data is not None else []
    if entry.data is None or len(lines) > MAX_IGNORE_LINES:
        raise ConfigError(f"has over {MAX_IGNORE_BYTES:,} bytes or {MAX_IGNORE_LINES:,} lines; leave out larger parts")
    return tuple(lines)


# Roots with a `.skillsignore` have rules of their own, and most engines have few of those.
@lru_cache(64)
def _make_rules(extensions: tuple[str, ...], names: tuple[str, ...], patterns: tuple[str, ...]) -> _Rules:
    # Without lines that say nothing, so that the number of a match is the number of its line.
    patterns = tuple(line for line in patterns if line.strip() and not line.startswith("#"))
    return _Rules(
        EXTENSIONS.union(map(_normal_extension, extensions)), NAMES.union(names), patterns, _compile(patterns), {}
    )


def _several(values: Iterable[str]) -> Iterable[str]:
    """`values`, or one that was given where several were asked for: nobody means its letters."""
    return (values,) if isinstance(values, str) else values


def _normal_extension(extension: str) -> str:
    normal = extension.lower().lstrip("*").lstrip(".")
    if not normal or "." in normal or "/" in normal:
        raise ConfigError(f"{extension!r}: not an extension; name what follows a file's last dot, such as .svg")
    return "." + normal


def _compile(patterns: tuple[str, ...]) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    # Imported here because most users have no patterns, and it takes a third of the time of importing watchfiles.
    from pathspec import GitIgnoreSpec

    for line in patterns:
        try:
            GitIgnoreSpec.from_lines([line])
        except (ValueError, re.error) as error:
            raise ConfigError(f"{line!r}: not a gitignore pattern ({error}); mend or remove it") from error
    return GitIgnoreSpec.from_lines(patterns)
