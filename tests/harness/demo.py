"""A running `indicia demo` and what it printed. Only the demo's clock can be moved."""

import os
import re
import subprocess
import threading

import requests

from .server import BINARY

WELCOME_TIMEOUT_S = 60


STARTS_MAX = 4


class Demo:
    """Two demos that start at the same moment can find the same port free: the one that comes second is started again."""

    def __init__(self, *arguments, env: dict | None = None):
        self.env = {**os.environ, **(env or {})}
        for _ in range(STARTS_MAX):
            self._start(arguments)
            if self.process.poll() is None or "listen" not in "".join(self.errors):
                break
        assert self.process.poll() is None, self.text + "".join(self.errors)

    def _start(self, arguments):
        self.process = subprocess.Popen([BINARY, "demo", *map(str, arguments)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=self.env)
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.errors: list[str] = []
        errors = threading.Thread(target=self._read_errors, args=(self.process,), daemon=True)
        errors.start()
        threading.Thread(target=self._read, args=(self.process, self.ready), daemon=True).start()
        assert self.ready.wait(WELCOME_TIMEOUT_S), self.text
        if "ready" not in (line.strip() for line in self.lines):
            self.process.wait(10)
            errors.join(10)

    def _read(self, process, ready):
        for line in process.stdout:
            self.lines.append(line)
            if line.strip() == "ready":
                ready.set()
        ready.set()

    def _read_errors(self, process):
        self.errors.extend(process.stderr)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def field(self, name: str) -> str:
        return re.search(rf"^{name}\s+(.*)$", self.text, re.M)[1].strip()

    def login(self, name: str = "Login") -> tuple[str, str]:
        return tuple(re.match(r"(\S+)\s+password (\S+)", self.field(name)).groups())

    def snippet(self, title: str) -> str:
        return re.search(rf"^--- {title}.*?---\n(.*?)(?=^--- )", self.text, re.M | re.S)[1]

    @property
    def api_port(self) -> int:
        return int(re.search(r"endpoint='[^']*:(\d+)'", self.snippet("SDK"))[1])

    def advance(self, by: str):
        answer = requests.post(self.field("Console") + "/demo/clock", data={"advance": by}, timeout=10)
        assert answer.status_code == 200, answer.text

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)
