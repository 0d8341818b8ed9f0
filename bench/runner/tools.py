"""The generator and the sink of this crate, and free ports for everybody."""

import json
import os
import socket
import subprocess
from pathlib import Path

from .measure import wait_for

ROOT = Path(__file__).resolve().parents[2]
RELEASE = Path(os.environ.get("BENCH_RELEASE_DIR") or ROOT / "target/release")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers_smtp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(200).startswith(b"220")
    except OSError:
        return False


class Sink:
    def __init__(self, folder: Path, **options):
        self.port, self._stats = free_port(), free_port()
        self.captured = folder / "captured.eml"
        extra = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
        self._process = subprocess.Popen(
            [RELEASE / "sink", "--listen", f"127.0.0.1:{self.port}", "--stats", f"127.0.0.1:{self._stats}",
             "--capture", self.captured, *extra], stdout=subprocess.DEVNULL)
        wait_for(lambda: answers_smtp(self.port), "the sink answers", 10)

    def stats(self) -> dict:
        with socket.create_connection(("127.0.0.1", self._stats), timeout=10) as connection:
            return json.loads(connection.makefile().readline())

    def stop(self):
        self._process.terminate()
        self._process.wait(10)


def start_load(port: int, messages: int, size_bytes: int, connections: int, sender: str, first: int,
               *extra: str) -> subprocess.Popen:
    """Starts the generator; its result is one JSON line on its standard output."""
    return subprocess.Popen(
        [RELEASE / "load", "--target", f"127.0.0.1:{port}", "--messages", str(messages), "--size-bytes",
         str(size_bytes), "--connections", str(connections), "--from", sender, "--first", str(first), *extra],
        stdout=subprocess.PIPE, text=True)
