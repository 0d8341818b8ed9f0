"""The server under test: configuration, start, stop, kill, its command line, and accounts ready to send."""

import datetime
import json
import os
import re
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import requests

from .ports import free_port
from .sdk import Sdk, dm
from .waiting import wait_until

BINARY = Path(os.environ.get("E2E_BINARY") or Path(__file__).parents[2] / "target/debug/indicia")
READY_TIMEOUT_S = 30
SENDER_PASSWORD = "Quiet47Harbor"


def zone_at_noon() -> str:
    """A zone in which it is about noon now, so that no test meets a local midnight."""
    hour = datetime.datetime.now(datetime.timezone.utc).hour
    offset = (12 - hour + 12) % 24 - 12
    return "Etc/UTC" if offset == 0 else f"Etc/GMT{-offset:+d}"


def to_toml(tree: dict) -> str:
    """The small part of TOML that the configuration uses: scalars, lists, tables, arrays of tables."""
    lines: list[str] = []

    def scalar(value) -> str:
        if isinstance(value, list):
            return "[" + ", ".join(scalar(v) for v in value) + "]"
        return json.dumps(value if isinstance(value, (bool, int, float)) else str(value))

    def table(path: list[str], content: dict, header: str):
        if path:
            lines.append(header)
        for key, value in content.items():
            if not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict)):
                lines.append(f"{key} = {scalar(value)}")
        for key, value in content.items():
            name = ".".join([*path, key])
            if isinstance(value, dict):
                table([*path, key], value, f"[{name}]")
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                for entry in value:
                    table([*path, key], entry, f"[[{name}]]")

    table([], tree, "")
    return "\n".join(lines) + "\n"


def _merged(base: dict, changes: dict) -> dict:
    result = dict(base)
    for key, value in changes.items():
        result[key] = _merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result


@dataclass
class Sender:
    address: str
    domain: str
    domain_id: str
    address_id: str
    password: str = SENDER_PASSWORD


@dataclass
class Account:
    account_id: str
    key_id: str
    secret: str
    console_password: str
    email: str
    sdk: Sdk
    # Digits for names and addresses: unlike account ids they differ from one database to the next.
    tag: str = field(default_factory=lambda: str(int.from_bytes(os.urandom(6)) + 10**15))


def clock_ahead(seconds: int) -> dict[str, str]:
    """What makes a process see a wall clock that is ahead: libfaketime, which leaves timers as they are."""
    if seconds == 0:
        return {}
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is not installed: apt-get install libfaketime"
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"+{seconds}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class CommandFailed(AssertionError):
    """A command of the binary ended with another status than the test expected."""


class Indicia:
    """One installation in a folder; `start`, `kill` and `stop` may be called again and again."""

    def __init__(self, folder: Path, store_url: str = "sqlite", dns_address: str | None = None, **changes):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config_path = folder / "indicia.toml"
        self.log_path = folder / "indicia.log"
        self.api, self.console, self.smtp, self.smtps, self.inbound, self.metrics = (free_port() for _ in range(6))
        base = {
            "data_dir": folder / "data",
            "store": {"url": store_url},
            "api": {"listen": f"127.0.0.1:{self.api}"},
            "console": {"listen": f"127.0.0.1:{self.console}", "public_url": f"http://127.0.0.1:{self.console}"},
            "submission": {"listen": [f"127.0.0.1:{self.smtp}"], "tls_listen": [f"127.0.0.1:{self.smtps}"]},
            "inbound": {"listen": [f"127.0.0.1:{self.inbound}"]},
            "metrics": {"listen": f"127.0.0.1:{self.metrics}"},
            "dns": {"servers": [dns_address] if dns_address else []},
            "delivery": {"hostname": "out.indicia.test"},
        }
        self.config = _merged(base, changes)
        self.write_config()
        self.process = None
        self.ahead_s = 0

    def write_config(self):
        self.config_path.write_text(to_toml(self.config))

    # The service

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> "Indicia":
        """Runs `indicia serve` and returns when it printed `ready`."""
        assert self.process is None, "already running"
        self._log = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve", "--config", self.config_path], cwd=self.folder,
                                        stdout=subprocess.PIPE, stderr=self._log, text=True,
                                        env={**os.environ, **clock_ahead(self.ahead_s)})
        self.output: list[str] = []
        ready = threading.Event()
        threading.Thread(target=self._read_output, args=(self.process, ready), daemon=True).start()
        if not ready.wait(timeout_s) or self.process.poll() is not None:
            self.kill()
            raise AssertionError(f"no `ready` within {timeout_s} s; log ends:\n{self.log_tail()}")
        return self

    def _read_output(self, process, ready):
        for line in process.stdout:
            self.output.append(line.rstrip("\n"))
            if line.strip() == "ready":
                ready.set()
        ready.set()

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {timeout_s} s of SIGTERM; log ends:\n{self.log_tail()}")
        self._forget()
        return status

    def kill(self):
        """SIGKILL: what a crash of the process looks like."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self._forget()

    def _forget(self):
        self.process.stdout.close()
        self._log.close()
        self.process = None

    def log_tail(self, bytes_max: int = 6000) -> str:
        return self.log_path.read_bytes()[-bytes_max:].decode(errors="replace") if self.log_path.exists() else "(no log)"

    def restart_ahead(self, seconds: int) -> "Indicia":
        """Stops it and starts it again with a wall clock that is so far ahead; commands see the same time."""
        self.stop()
        self.ahead_s = seconds
        return self.start()

    def now(self) -> datetime.datetime:
        """The time that the server's clock shows."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)

    # The command line

    def run(self, *arguments, expect: int | None = 0, env: dict | None = None, config: bool = True):
        """Runs one command of the binary on this installation's configuration."""
        command = [str(BINARY), *map(str, arguments), *(["--config", str(self.config_path)] if config else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.folder,
                              env={**os.environ, **clock_ahead(self.ahead_s), **(env or {})})
        if expect is not None and done.returncode != expect:
            raise CommandFailed(f"{' '.join(command)}: exit status {done.returncode}, expected {expect}\n"
                                f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done

    def run_json(self, *arguments):
        return json.loads(self.run(*arguments, "--json").stdout)

    def run_lines(self, *arguments) -> list[dict]:
        """Of commands that print one JSON object a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    def sdk(self, key_id: str, secret: str, **more) -> Sdk:
        return Sdk(f"127.0.0.1:{self.api}", key_id, secret, **more)

    def create_account(self, name: str = "Acme", email: str | None = None, zone: str | None = None) -> Account:
        email = email or f"{name.lower()}-{os.urandom(3).hex()}@customer.test"
        made = self.run_json("account", "create", "--name", name, "--email", email, "--zone", zone or zone_at_noon())
        return Account(str(made["account_id"]), made["access_key_id"], made["access_key_secret"],
                       made["console_password"], email,
                       self.sdk(made["access_key_id"], made["access_key_secret"]))

    def create_sender(self, account: Account, domain: str, local: str = "noreply", verify: bool = True) -> Sender:
        """A domain (verified by the operator's word) and a sender address with an SMTP password, by the SDK."""
        client = account.sdk.dm
        domain_id = client.create_domain(dm.CreateDomainRequest(domain_name=domain)).body.domain_id
        if verify:
            self.run("domain", "verify", account.account_id, domain)
        address = f"{local}@{domain}"
        address_id = client.create_mail_address(
            dm.CreateMailAddressRequest(account_name=address, sendtype="trigger")).body.mail_address_id
        client.modify_mail_address(dm.ModifyMailAddressRequest(mail_address_id=int(address_id), password=SENDER_PASSWORD))
        return Sender(address, domain, domain_id, address_id)

    def add_credit(self, account: Account, amount: str, memo: str = "end-to-end test"):
        self.run("account", "credit", account.account_id, amount, "--memo", memo)

    def set_quota(self, account: Account, mails_per_day: int):
        self.run("quota", "set", account.account_id, mails_per_day, "--reason", "end-to-end test")

    def verify_ledger(self) -> str:
        return self.run("ledger", "verify").stdout

    # What it shows

    def metric(self, name: str, **labels) -> float:
        """Sum of a metric's samples whose labels match."""
        total = 0.0
        text = requests.get(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10).text
        for line in text.splitlines():
            found = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([-+.\deE]+)", line)
            if found and found[1] == name:
                given = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                if all(given.get(key) == value for key, value in labels.items()):
                    total += float(found[3])
        return total

    def message_show(self, env_id: str) -> str:
        return self.run("message", "show", env_id).stdout

    def wait_outcome(self, account: Account, to: str, status: int, timeout_s: float = 20):
        """Waits until the sending details name `status` for `to`; returns that line."""
        def found():
            return next((d for d in account.sdk.sending_details(to) if d.status == status), None)
        return wait_until(found, f"sending details with status {status} for {to}", timeout_s)
