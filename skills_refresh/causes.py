"""What each cause of polling means, in a sentence for people, and what they can do about it."""

from __future__ import annotations

from typing import NamedTuple

from .health import Cause
from .watching.limits import limit_for


class Explanation(NamedTuple):
    """A sentence without its end, and the cure: a command or a sentence, empty where there is nothing to do."""

    message: str
    cure: str


_EXPLANATIONS: dict[Cause, Explanation] = {
    "": Explanation("", ""),
    "failure": Explanation(
        "the engine hit a bug and reads everything again", "Report it, with the traceback from the log."
    ),
    "instance-died": Explanation("the native watcher ended again and again", "Report it; watching is tried again."),
    "unwatchable": Explanation("the kernel refuses to watch", "Watching is tried again by itself."),
    "unreadable": Explanation("permissions forbid to watch", "Give the user that runs the gateway permission to read."),
    "undecodable-name": Explanation("there are names that are not UTF-8", "Rename what `check` lists."),
    "mount": Explanation(
        "events do not tell what others write there", "Set poll = false if only this machine writes there."
    ),
    "configured": Explanation("poll = true", ""),
    "missing": Explanation("does not exist; it is waited for", "Create the directory."),
    "not-a-directory": Explanation("is a file, not a directory that holds skills", "Name the directory instead."),
}


def explain_cause(cause: Cause, file_system: str = "") -> Explanation:
    """What `cause` means on this machine just now. `file_system` is the type of the mount, where that is the cause."""
    limit = limit_for(cause)
    if limit is not None:
        return Explanation(f"the limit {limit.name} = {limit.value:,} is reached", limit.command)
    found = _EXPLANATIONS.get(cause, Explanation("a limit of the system is reached", "Watching is tried again."))
    return Explanation(f"{found.message} ({file_system})", found.cure) if cause == "mount" and file_system else found
