"""The exceptions of the library. Each message names the thing, the reason and the cure.

What ends a call is an exception; what the engine lives through is health; what a file suffers from is a `Problem`.
"""

from __future__ import annotations


class SkillsRefreshError(Exception):
    """Base of every exception that this library raises on purpose."""


class ConfigError(SkillsRefreshError):
    """A setting is unknown, has the wrong type, or cannot be read."""


class ClosedError(SkillsRefreshError):
    """An engine or a workspace was used before it was started or after it was closed."""


class ConnectError(SkillsRefreshError):
    """A server cannot be reached, or does not answer."""


class ServerError(SkillsRefreshError):
    """A server answers, but refuses, or says what cannot be right."""


class EngineError(SkillsRefreshError):
    """The engine hit a bug of its own while it answered. It goes on, and reads everything again."""
