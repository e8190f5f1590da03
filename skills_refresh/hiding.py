"""`Hiding`: which skills of each root one workspace hides, and the memory of what its checks have answered.

A check may be slow, so it is asked about each skill once. What is hidden takes no name: the next skill of that name
that is not hidden is used, and whatever lies behind that one is not asked about.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterator, Mapping

from .eligibility import Check
from .escaping import printable
from .layers import Hidden, RootLayer
from .model import HiddenSkill, Skill

_NOTHING: Hidden = {}

_log = logging.getLogger("skills_refresh")


class Hiding:
    """What `checks` hide. Owned by one thread."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self._checks = checks
        self._hidden: tuple[Hidden, ...] = ()
        # Answers about skills whose name another one took since. All others can be seen from what is in use and what is
        # hidden: a list of them would take 37 kB for 1,000 skills, in each workspace.
        self._behind: dict[tuple[int, str], tuple[Skill, str | None]] = {}

    def next_hidden(
        self,
        used: Mapping[str, Skill] | None,
        layers: tuple[RootLayer, ...],
        names: Collection[str],
        *,
        ask_again: bool,
    ) -> tuple[Hidden, ...]:
        """What is hidden in each of `layers` now; the same object where it is the same.

        `used` are the skills that were in use until now, `names` those that may differ. With `ask_again` nothing that
        was answered about them counts.
        """
        if not self._hidden:
            self._hidden = (_NOTHING,) * len(layers)
        if not self._checks:
            return self._hidden
        known = self._hidden
        if ask_again or used is None:
            self._behind.clear()
            used, known = {}, (_NOTHING,) * len(layers)
        found: list[dict[str, HiddenSkill | None]] = [{} for _ in layers]
        for name in names:
            for number, hidden in self._answers(name, used.get(name), layers, known):
                found[number][name] = hidden
        after = tuple(_updated(was, new) for was, new in zip(self._hidden, found, strict=True))
        if any(now is not was for was, now in zip(self._hidden, after, strict=True)):
            self._hidden = after
        return self._hidden

    def _answers(
        self, name: str, used: Skill | None, layers: tuple[RootLayer, ...], known: tuple[Hidden, ...]
    ) -> Iterator[tuple[int, HiddenSkill | None]]:
        """What is hidden of the skills called `name`, for each layer; `used` was the one in use."""
        is_taken = False
        for number, layer in enumerate(layers):
            skill, was = layer.skills.get(name), known[number].get(name)
            behind = self._behind.pop((number, name), None)
            if skill is None:
                yield number, None
                continue
            if was is not None and was.skill is skill:
                behind = (skill, was.reason)
            elif used is skill:
                behind = (skill, None)
            if behind is None or behind[0] is not skill:
                if is_taken:
                    yield number, None
                    continue
                behind = (skill, _ask(self._checks, skill))
            if is_taken:
                self._behind[number, name] = behind
            reason = behind[1]
            yield number, None if is_taken or reason is None else HiddenSkill(skill, reason)
            is_taken = is_taken or reason is None


def _ask(checks: tuple[Check, ...], skill: Skill) -> str | None:
    """The first reason that one of `checks` gives to hide `skill`; None where none does."""
    for check in checks:
        try:
            reason: object = check(skill)
        except Exception as error:
            _log.exception("a check of eligibility failed on %s; the skill is hidden", printable(str(skill.location)))
            return f"the check of eligibility failed: {printable(repr(error))}"
        if reason is not None:
            if not isinstance(reason, str):
                return f"the check of eligibility answered {printable(repr(reason))}, neither None nor a reason"
            # Many skills, and many workspaces, have the same.
            return sys.intern(printable(reason) or "no reason was given")
    return None


def _updated(before: Hidden, changes: Mapping[str, HiddenSkill | None]) -> Hidden:
    """`before` with `changes`, sorted by name; the same object where it is the same."""
    if all(before.get(name) == change for name, change in changes.items()):
        return before
    after = {**before, **changes}
    return {name: hidden for name in sorted(after) if (hidden := after[name]) is not None}
