"""For all unit tests."""

from __future__ import annotations

import signal

# A test run in the background of a script is told to ignore SIGINT, and so would be all that it starts: tests of
# what an interrupt does would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
