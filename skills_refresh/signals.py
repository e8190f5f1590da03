"""SIGURG, by which the kernel and other threads wake the engine's thread: blocked there, and nowhere else.

It is ignored by default, so nobody misses it, and it does not queue, so it cannot overflow. A new thread inherits what
is blocked where it is started; threads that run other people's code give it back first.
"""

from __future__ import annotations

import signal
import sys

if sys.platform != "win32":

    def block_wake_signal() -> bool:
        """Blocks SIGURG in the calling thread; returns whether it was blocked before."""
        return signal.SIGURG in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})

    def unblock_wake_signal() -> None:
        """Undoes `block_wake_signal` in the calling thread."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGURG})

else:

    def unblock_wake_signal() -> None:
        """Nothing is blocked on Windows."""
