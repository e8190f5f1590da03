"""Which skills stand behind others of the same name: problems say it of the one that is not used, people ask it of the
one that is."""

from __future__ import annotations

from ..encoding import path_json
from ..layers import shadowed
from ..model import Snapshot


def find_shadows(snapshot: Snapshot) -> dict[str, list[str]]:
    """By name, the locations of the skills that are not used because the one of that name comes first."""
    losers: dict[str, list[str]] = {}
    for found in snapshot.problems:
        if found.code == "shadowed":
            losers.setdefault(found.message, []).append(path_json(found.path))
    if not losers:
        return {}
    return {
        name: losers[message]
        for name, skill in snapshot.skills.items()
        if (message := shadowed(skill, skill).message) in losers
    }
