"""Answer Ctrl-C even when a compiled function of an author never returns.

Python runs its signal handlers between two of its own instructions, and a compiled loop has none.  While a run is
under way a second thread watches the signals' wake-up descriptor: when the main thread has not taken the signal after
PATIENCE_SECONDS, the process ends here.  Nothing is written during a run, so nothing is left half-written.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.4
INTERRUPTED = 130


@contextmanager
def answer_interrupts() -> Iterator[None]:
    """Watch for Ctrl-C while the block runs; only the main thread can, elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    is_over = threading.Event()
    previous = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(receiver, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(previous)
        sender.close()


def _watch(receiver: socket.socket, is_over: threading.Event) -> None:
    """Wait for Ctrl-C, and end the process when the block does not end soon after it."""
    with receiver:
        while received := receiver.recv(64):
            if signal.SIGINT in received and not is_over.wait(PATIENCE_SECONDS):
                sys.stderr.write("framework: interrupted; a function did not return in time, so the run was given up "
                                 "and nothing of it was written\n")
                sys.stderr.flush()
                os._exit(INTERRUPTED)
