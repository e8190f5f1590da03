"""The test items: one for each `SKILL.md`, and one for each root that has problems of its own.

An item fails with all that is wrong, a line for each finding, with file and line first, so that editors can follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..escaping import printable
from .skill_checks import Finding, findings_of
from .skill_scan import FoundSkill


class SkillFile(pytest.File):
    """A `SKILL.md`, with what a scan found of its skill."""

    skill: FoundSkill

    def collect(self) -> Iterator[pytest.Item]:
        """One item, called after the directory: it also has a name where the frontmatter gives none."""
        yield SkillItem.of(self, printable(self.path.parent.name), lambda: findings_of(self.skill))


class SkillItem(pytest.Item):
    """Fails where `check` finds anything that is worse than an info."""

    check: Callable[[], list[Finding]]

    @classmethod
    def of(cls, parent: pytest.Collector, name: str, check: Callable[[], list[Finding]]) -> SkillItem:
        """The item `name` below `parent`, marked as a skill."""
        node: SkillItem = cls.from_parent(parent, name=name)
        node.check = check
        node.add_marker("skill")
        return node

    def runtest(self) -> None:
        """Fails with the findings and without a traceback: what is wrong is not in Python."""
        found = self.check()
        if any(finding.problem.severity != "info" for finding in found):
            base = self.config.invocation_params.dir
            pytest.fail("\n".join(shown(finding, base) for finding in found), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is, and its headline in reports."""
        return self.path, 0, f"skill {self.name}"


def shown(finding: Finding, base: Path) -> str:
    """`path:line: what: cure [code]`, with the path from `base` where it lies below that."""
    problem = finding.problem
    path = problem.path.relative_to(base) if problem.path.is_relative_to(base) else problem.path
    line = "" if finding.line is None else f":{finding.line}"
    return f"{printable(str(path))}{line}: {problem.message}: {problem.cure} [{problem.code}]"
