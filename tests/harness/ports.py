"""Free TCP/UDP ports on loopback.

Ports come from below the kernel's ephemeral range, each pytest worker from a block of its own, so that
neither an outgoing connection nor another worker can take one between its choice and its use.
"""

import itertools
import os
import socket

_BLOCK_PORTS = 4000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = itertools.cycle(range(15000 + (_worker % 4) * _BLOCK_PORTS, 15000 + (_worker % 4 + 1) * _BLOCK_PORTS))


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """A port that nothing is bound to, never handed out twice in a row by this worker."""
    for _ in range(_BLOCK_PORTS):
        port = next(_next)
        if _is_free(port):
            return port
    raise RuntimeError("no free port on loopback")
