"""Waiting for something to become true, with an end and a reason."""

import time


def wait_until(condition, what: str, timeout_s: float = 20.0, pause_s: float = 0.05):
    """Returns the first truthy value of `condition()`; AssertionError names `what` when time runs out."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(pause_s)
