"""A running `indicia demo` and what it printed. Only the demo's clock can be moved."""

import re
import subprocess
import threading

import requests

from .server import BINARY

WELCOME_TIMEOUT_S = 60


class Demo:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([BINARY, "demo", *map(str, arguments)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        assert self.ready.wait(WELCOME_TIMEOUT_S) and self.process.poll() is None, self.text

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.strip() == "ready":
                self.ready.set()
        self.ready.set()

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
