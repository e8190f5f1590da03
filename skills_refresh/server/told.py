"""What the log tells of what is served: how much there is, and what is wrong with it. Under a supervisor it is all that
anybody sees."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..escaping import printable
from ..model import Snapshot
from ..problems import Problem

# Who broke a thousand skills at once looks at the page, or runs `skills-refresh check`.
MAX_PROBLEMS_TOLD = 10

_log = logging.getLogger("skills_refresh.server")


def tell_served(name: str, snapshot: Snapshot, where: str) -> None:
    """One line for a workspace, and one for each error or warning in it."""
    place = f"{where}/w/{name}/" if name else where
    _log.info("serving %d skills at %s", len(snapshot.skills), place)
    tell_problems((), snapshot.problems)


def tell_problems(before: Iterable[Problem], after: Iterable[Problem]) -> None:
    """One line for each error or warning that was not there before. Safe from any thread."""
    known = set(before)
    new = [found for found in after if found not in known and found.severity != "info"]
    for found in new[:MAX_PROBLEMS_TOLD]:
        _log.warning("%s: %s [%s]. %s", printable(str(found.path)), printable(found.message), found.code, found.cure)
    if len(new) > MAX_PROBLEMS_TOLD:
        _log.warning("and %d problems more; skills-refresh check tells them all", len(new) - MAX_PROBLEMS_TOLD)
