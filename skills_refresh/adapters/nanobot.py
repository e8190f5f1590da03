"""nanobot: a `SkillsLoader` for its context builder with the skills of a workspace. Needs `nanobot-ai`.

The framework's own loader lists and reads all skills several times for one prompt, and once more for each skill. This
one has the same methods and answers the same, sorted by name, without looking at the disk. Skills of plugins are the
exception: nanobot lets them in by a digest of their package, so it is asked each time, where there are plugins.

As in nanobot a skill is called by its directory, which lies directly below a root; one that lies deeper is left out,
which is logged once. What differs: skills that are hidden or broken are not listed, and of several with one `name:` in
their frontmatter there is the first alone.

Subagents, and the pages of its web interface, make loaders of nanobot's own; these stay as they are, so skills that are
hidden here are not hidden from a subagent.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from ..filters import SKILL_FILE
from ..freezing import plain
from ..model import Skill
from ..reading import Signature, signature_or_none
from ..workspace import Workspace
from .conversion import ConvertedSkills

try:
    from nanobot.agent.plugins import enabled_agent_plugin_skills
    from nanobot.agent.skills import SkillsLoader, parse_skill_metadata
except ImportError as error:
    raise ConfigError(
        "this adapter needs nanobot-ai, which is not installed or too old: pip install --upgrade nanobot-ai"
    ) from error

# Looking for a binary takes some 50 microseconds, as does reading the aliases, and one prompt asks for each several
# times: an answer of a second ago is good enough to tell a model what it can call.
ASK_AGAIN_S = 1.0

_Plugin = tuple[str, Path, Signature | None]


class _Record(NamedTuple):
    """One skill as nanobot lists it. `name` is that of its directory; `skill` is None where a plugin brings it; `line`
    is its line in the summary, and `head` how much of it comes before what is missing."""

    skill: Skill | None
    name: str
    source: str
    entry: Mapping[str, str]
    metadata: Mapping[str, object]
    bins: list[str]
    env: list[str]
    always: bool
    line: str
    head: int


class _Listing(NamedTuple):
    """All skills, in nanobot's order, for one state of the workspace, plugins and disabled skills; and those of them
    that require something, and that belong into every prompt."""

    skills: Mapping[str, _Record]
    others: tuple[tuple[_Plugin, ...], frozenset[str]]
    records: dict[str, _Record]
    demanding: dict[str, _Record]
    always: list[str]


class SnapshotSkillsLoader(SkillsLoader):
    """Loads the skills of `skills`, a workspace that was started, in place of `replaced`, nanobot's `SkillsLoader`.

    Its directories stay, and its disabled skills, which can be changed at any time. The roots of `skills` must be its
    `workspace_skills` and, where the built-in skills are wanted, its `builtin_skills`; another root raises
    `ConfigError`, because nanobot could not tell a model where that is, and skills of one that comes later are left
    out. Owned by the thread of the agent loop::

        loader = loop.context.skills
        with skills_refresh.watch(loader.workspace_skills, loader.builtin_skills) as skills:
            loop.context.skills = SnapshotSkillsLoader(skills, loader)
    """

    def __init__(
        self, skills: Workspace, replaced: SkillsLoader, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(replaced.workspace, replaced.builtin_skills)
        # The same set, because nanobot's web interface changes it in place.
        self.disabled_skills = replaced.disabled_skills
        self._clock = clock
        places = [("workspace", self.workspace_skills), ("builtin", self.builtin_skills)]
        self._places = {os.path.realpath(path.expanduser()): (source, path) for source, path in places}
        self._sources: dict[Path, tuple[str, Path]] = {}
        for root in skills.roots:
            try:
                self._source(Path(root.path))
            except ValueError as error:
                raise ConfigError(str(error)) from None
        self._converted = ConvertedSkills(skills, self._of_workspace)
        self._plugins_path = os.path.join(self.workspace, "plugins")
        self._last: _Listing | None = None
        self._aliases: tuple[float, dict[str, str]] = (-math.inf, {})
        self._binaries: dict[str, tuple[float, bool]] = {}
        self._summary: tuple[_Listing | None, object, str] = (None, None, "")

    # -- what nanobot asks ------------------------------------------------------------------------------------------

    def list_skills(self, filter_unavailable: bool = True) -> list[dict[str, str]]:
        """All skills, or all whose requirements are met: the name, path and source of each."""
        listing = self._listing()
        missing = self._missing(listing) if filter_unavailable else {}
        return [dict(record.entry) for name, record in listing.records.items() if name not in missing]

    def load_skill(self, name: str) -> str | None:
        """The text of the `SKILL.md` of the skill `name`, or None."""
        records = self._listing().records
        record = records.get(name) or records.get(self._skill_aliases().get(name, name))
        if record is None:
            return None
        if record.skill is None:
            return Path(record.entry["path"]).read_text(encoding="utf-8")
        return record.skill.source.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")

    def get_skill_metadata(self, name: str) -> dict[str, object] | None:
        """The frontmatter of the skill `name`, or None."""
        record = self._listing().records.get(name)
        metadata: dict[str, object] | None = super().get_skill_metadata(name) if record is None else None
        return metadata if record is None else dict(record.metadata)

    def get_always_skills(self) -> list[str]:
        """The names of the skills that belong into every prompt, and whose requirements are met."""
        listing = self._listing()
        missing = self._missing(listing)
        return [name for name in listing.always if name not in missing]

    def get_explicitly_invoked_skills(self, text: str) -> list[str]:
        """The names of the available skills that `text` calls for as `$name`."""
        invoked: list[str] = super().get_explicitly_invoked_skills(text) if "$" in text else []
        return invoked

    def build_skills_summary(self, exclude: set[str] | None = None, *, workspace: Path | None = None) -> str:
        """The list of all skills but `exclude` for a prompt; paths are relative unless `workspace` is another one."""
        listing = self._listing()
        relative = workspace is None or workspace == self.workspace or _real(workspace) == _real(self.workspace)
        missing, excluded = self._missing(listing), frozenset(exclude or ())
        asked = (relative, missing, excluded)
        told_of, told, summary = self._summary
        if told_of is not listing or told != asked:
            summary = self._summarized(listing, *asked)
            self._summary = (listing, asked, summary)
        return summary

    # -- how it is answered -----------------------------------------------------------------------------------------

    def _listing(self) -> _Listing:
        skills, others = self._converted.current(), (self._plugins(), self._disabled())
        if self._last is None or self._last.skills is not skills or self._last.others != others:
            self._last = self._listed(skills, *others)
        return self._last

    def _listed(
        self, skills: Mapping[str, _Record], plugins: tuple[_Plugin, ...], disabled: frozenset[str]
    ) -> _Listing:
        # One pass over all that there are after the other, and nothing is made for any: an agent waits for this.
        ordered = sorted(skills.values(), key=attrgetter("name"))
        records = {record.name: record for record in ordered if record.source == "workspace"}
        for name, path, _ in plugins:
            if name not in records:
                file = path.relative_to(_real(self.workspace / "plugins")).as_posix()
                told = parse_skill_metadata(path.read_text(encoding="utf-8")) or {}
                records[name] = self._record(name, path, "plugin", file, told)
        builtin = {record.name: record for record in ordered if record.source == "builtin"}
        records.update({name: record for name, record in builtin.items() if name not in records})
        for name in disabled & records.keys():
            del records[name]
        demanding = {name: record for name, record in records.items() if record.bins or record.env}
        always = [name for name, record in records.items() if record.always]
        return _Listing(skills, (plugins, disabled), records, demanding, always)

    def _of_workspace(self, skill: Skill) -> _Record:
        directory, _, file = skill.relative_location.partition("/")
        if file != SKILL_FILE:
            raise ValueError("nanobot has only skills directly below a root: move it there, or link to it from there")
        source, root = self._source(skill.root)
        metadata = {field: plain(value) for field, value in skill.frontmatter.items()}
        path = root / skill.relative_location
        return self._record(directory, path, source, skill.relative_location, metadata, skill)

    def _source(self, root: Path) -> tuple[str, Path]:
        """What nanobot calls the skills of `root`, and where it has them."""
        found = self._sources.get(root) or self._places.get(os.path.realpath(root))
        if found is None:
            raise ValueError(
                f"nanobot does not know the root {root}: watch {self.workspace_skills} and {self.builtin_skills}, and"
                " link others into the first"
            )
        self._sources[root] = found
        return found

    def _record(
        self, name: str, path: Path, source: str, file: str, metadata: Mapping[str, object], skill: Skill | None = None
    ) -> _Record:
        own = self._parse_nanobot_metadata(metadata.get("metadata"))
        bins, env = self._requirement_lists(own)
        description = metadata.get("description")
        line = f"- **{name}** — {description if isinstance(description, str) and description else name}"
        entry = {"name": name, "path": str(path), "source": source}
        always = bool(own.get("always") or metadata.get("always"))
        return _Record(skill, name, source, entry, metadata, bins, env, always, f"{line}  `{file}`", len(line))

    def _plugins(self) -> tuple[_Plugin, ...]:
        if not os.path.isdir(self._plugins_path):
            return ()
        found = enabled_agent_plugin_skills(self.workspace)
        return tuple((name, path, signature_or_none(str(path))) for name, path in found)

    def _disabled(self) -> frozenset[str]:
        disabled = frozenset(self.disabled_skills)
        pairs = self._skill_aliases().items() if disabled else ()
        return disabled.union(*(pair for pair in pairs if not disabled.isdisjoint(pair)))

    def _skill_aliases(self) -> dict[str, str]:
        now = self._clock()
        if now - self._aliases[0] >= ASK_AGAIN_S:
            self._aliases = (now, super()._skill_aliases())
        return self._aliases[1]

    def _missing(self, listing: _Listing) -> dict[str, str]:
        """What is missing, by the name of each skill whose requirements are not met."""
        missing = {}
        for name, record in listing.demanding.items():
            lacks = [f"CLI: {binary}" for binary in record.bins if not self._has_binary(binary)]
            lacks += [f"ENV: {variable}" for variable in record.env if not os.environ.get(variable)]
            if lacks:
                missing[name] = ", ".join(lacks)
        return missing

    def _has_binary(self, name: str) -> bool:
        now = self._clock()
        asked, found = self._binaries.get(name, (-math.inf, False))
        if now - asked >= ASK_AGAIN_S:
            found = shutil.which(name) is not None
            self._binaries[name] = (now, found)
        return found

    def _summarized(
        self, listing: _Listing, relative: bool, missing: Mapping[str, str], exclude: frozenset[str]
    ) -> str:
        groups = {
            "workspace": ("Workspace skills", self.workspace_skills, "skills"),
            "plugin": ("Agent Plugin skills", self.workspace / "plugins", "plugins"),
            "builtin": ("Built-in skills", self.builtin_skills, "skills"),
        }
        listed = [record for name, record in listing.records.items() if name not in exclude]
        lines = {
            source: [
                record.line if record.name not in missing else _unavailable(record, missing[record.name])
                for record in listed
                if record.source == source
            ]
            for source in groups
        }
        return "\n\n".join(
            "\n".join([f"### {label} (`{shown if relative else _real(root)}`)", *lines[source]])
            for source, (label, root, shown) in groups.items()
            if lines[source]
        )


def _unavailable(record: _Record, lacks: str) -> str:
    return f"{record.line[: record.head]} (unavailable: {lacks}){record.line[record.head :]}"


def _real(path: Path) -> Path:
    return path.expanduser().resolve()
