"""CPU time and memory of a server's processes, read from /proc.

CPU: user and system time of every living process in the tree, and of every child that one of them has
reaped (Postfix's processes come and go, but its master reaps them all). Memory: the proportional set
size, which counts a page shared by seventy processes once; summed over the tree and sampled once a
second, because reading it is not free.
"""

import os
import threading
import time

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SAMPLE_PAUSE_S = 1.0


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(roots: list[int]) -> dict[int, list[str]]:
    """pid -> fields of /proc/PID/stat from the state on, of the roots and all below them."""
    stats = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found, waiting = {}, list(roots)
    while waiting:
        pid = waiting.pop()
        if stats.get(pid) and pid not in found:
            found[pid] = stats[pid]
            waiting += children.get(pid, [])
    return found


def cpu_s(roots: list[int]) -> float:
    """CPU seconds used so far by the trees below `roots`."""
    return sum(sum(map(int, fields[11:15])) for fields in tree(roots).values()) / TICKS_PER_S


def pss_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return 0


def peak_rss_bytes(pid: int) -> int:
    """The kernel's own high-water mark of one process."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


class MemorySampler(threading.Thread):
    """Keeps the highest sum of proportional set sizes while it runs."""

    def __init__(self, roots: list[int]):
        super().__init__(daemon=True)
        self._roots, self._halt = roots, threading.Event()
        self.peak_bytes, self.peak_processes = 0, 0

    def run(self):
        while True:
            pids = tree(self._roots)
            self.peak_bytes = max(self.peak_bytes, sum(map(pss_bytes, pids)))
            self.peak_processes = max(self.peak_processes, len(pids))
            if self._halt.wait(SAMPLE_PAUSE_S):
                return

    def stop(self):
        self._halt.set()
        self.join()


def wait_for(condition, what: str, timeout_s: float, pause_s: float = 0.02):
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(pause_s)
    return value
