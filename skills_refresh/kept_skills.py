"""`KeptRoots`: what sleeping workspaces know of roots that nobody holds meanwhile.

Whoever opens such a root again, be it the workspace that wakes or another one, begins with that: skills that did not
change are the same objects, so the workspace that wakes sees a difference only where there is one.
"""

from __future__ import annotations

from collections import Counter

from .catalog import KeptSkills, RootCatalog
from .roots import Root


class KeptRoots:
    """Keeps the skills of roots that nobody holds, as long as a sleeping workspace wants them. Owned by one thread."""

    def __init__(self) -> None:
        self._wanted: Counter[Root] = Counter()
        self._kept: dict[Root, KeptSkills] = {}

    def want(self, root: Root) -> None:
        """One more sleeping workspace wants `root`."""
        self._wanted[root] += 1

    def leave(self, root: Root) -> None:
        """One less does."""
        self._wanted[root] -= 1
        if not self._wanted[root]:
            del self._wanted[root]
            self._kept.pop(root, None)

    def put(self, root: Root, catalog: RootCatalog | None) -> None:
        """Nobody holds `root` any more; `catalog` is what was known of it."""
        if root in self._wanted and catalog is not None:
            self._kept[root] = catalog.kept()

    def take(self, root: Root) -> KeptSkills | None:
        """What was known of `root`, for whoever opens it."""
        return self._kept.pop(root, None)
