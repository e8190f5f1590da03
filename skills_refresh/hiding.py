"""`Answers`: which skills of each root are hidden, according to checks that workspaces have in common.

A check may be slow, so it is asked about each skill once, for all workspaces with equal checks. Every skill is asked
about, one whose name another root takes, too: so what is hidden in a root depends on nothing but it and the checks.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterable
from weakref import WeakKeyDictionary, WeakValueDictionary

from .catalog import RootCatalog
from .eligibility import Check, for_one_asking
from .escaping import printable
from .layered import Layer, names_of_others
from .layers import Hidden
from .model import HiddenSkill, Skill

_NOTHING: Hidden = {}
_NOT_ASKED: Layer[Skill] = Layer({})

# What the text of an error may hold that is another one each time.
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")

_log = logging.getLogger("skills_refresh")


class Answers:
    """What `checks` hide. Owned by the engine's thread."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self._checks = checks
        # The skills that were asked about, and what of them is hidden. A root that is opened anew has another catalog,
        # and all is asked again: its path may lead to a directory that is to be judged otherwise.
        self._known: WeakKeyDictionary[RootCatalog, tuple[Layer[Skill], Hidden]] = WeakKeyDictionary()

    def hidden_in(self, catalog: RootCatalog | None) -> Hidden:
        """What is hidden in a root, by name, sorted; the same object where it is the same, for every workspace."""
        if catalog is None or not self._checks:
            return _NOTHING
        skills = catalog.layer.skills
        asked, hidden = self._known.get(catalog, (_NOT_ASKED, _NOTHING))
        if asked is not skills:
            checks = for_one_asking(self._checks)
            found = {name: _judged(checks, skills.get(name)) for name in names_of_others(asked, skills)}
            hidden = _updated(hidden, {**dict.fromkeys(hidden.keys() - skills.keys()), **found})
            self._known[catalog] = skills, hidden
        return hidden

    def forget(self, catalogs: Iterable[RootCatalog]) -> None:
        """Has all that is in `catalogs` asked again, by whoever needs it first."""
        for catalog in catalogs:
            _, hidden = self._known.get(catalog, (_NOT_ASKED, _NOTHING))
            self._known[catalog] = _NOT_ASKED, hidden

    def forget_all(self) -> None:
        """The same for all roots."""
        self.forget(tuple(self._known))


class SharedAnswers:
    """The answers of one engine: workspaces with equal checks have the same. Owned by the engine's thread."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[object, Answers] = WeakValueDictionary()

    def of(self, checks: tuple[Check, ...]) -> Answers:
        """What `checks` hide; kept here for as long as somebody keeps it."""
        key: object = checks
        try:
            hash(checks)
        except TypeError:  # a check may be any object that can be called; it lives as long as what is known by it
            key = tuple(map(id, checks))
        answers = self._known.get(key)
        if answers is None:
            answers = self._known[key] = Answers(checks)
        return answers

    def forget_all(self) -> None:
        """Has everything asked again, for workspaces that sleep, too."""
        for answers in tuple(self._known.values()):
            answers.forget_all()


def _judged(checks: tuple[Check, ...], skill: Skill | None) -> HiddenSkill | None:
    reason = None if skill is None else _reason(checks, skill)
    return None if skill is None or reason is None else HiddenSkill(skill, reason)


def _reason(checks: tuple[Check, ...], skill: Skill) -> str | None:
    """The first reason that one of `checks` gives to hide `skill`; None where none does."""
    for check in checks:
        try:
            reason: object = check(skill)
        except BaseException as error:  # even SystemExit: the engine's thread carries everybody's workspaces
            _log.exception("a check of eligibility failed on %s; the skill is hidden", printable(str(skill.location)))
            told = "".join(traceback.format_exception_only(type(error), error)).strip()
            return f"the check of eligibility failed: {_ADDRESS.sub('at some address', printable(told))}"
        if reason is not None:
            if not isinstance(reason, str):
                told = str(reason) if isinstance(reason, bool) else f"with {type(reason).__name__}"
                return f"the check of eligibility answered {told}, neither None nor a reason"
            # Many skills have the same.
            return sys.intern(printable(reason) or "no reason was given")
    return None


def _updated(before: Hidden, changes: dict[str, HiddenSkill | None]) -> Hidden:
    """`before` with `changes`, sorted by name; the same object where it is the same."""
    if all(before.get(name) == change for name, change in changes.items()):
        return before
    after = {**before, **changes}
    return {name: hidden for name in sorted(after) if (hidden := after[name]) is not None}
