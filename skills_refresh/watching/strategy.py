"""Which way of watching this platform gets. One function decides."""

from __future__ import annotations

import sys

from .base import Attach, Watcher
from .native import NativeWatcher
from .recursive import RecursiveWatcher


def make_watcher(attach: Attach, platform: str = sys.platform) -> Watcher:
    """The watcher for `platform`: planned directories on Linux, whole roots elsewhere."""
    return NativeWatcher(attach) if platform == "linux" else RecursiveWatcher(attach)
