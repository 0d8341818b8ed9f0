"""Indicia's release build with an account that may send: quota, package, verified domain, sender, trusted relay.

The installation is made once and copied for each run, so that every run starts from the same fresh store.
"""

import datetime
import hashlib
import hmac
import json
import secrets
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .measure import wait_for
from .tools import RELEASE, free_port

BINARY = RELEASE / "indicia"
DOMAIN, SENDER = "load.test", "load@load.test"
QUOTA_MAILS_PER_DAY = 100_000_000
READY_TIMEOUT_S = 30


def problem() -> str | None:
    return None if BINARY.exists() else f"{BINARY.name}'s release build is missing: cargo build --release"


class Api:
    """Calls signed with ACS3-HMAC-SHA256."""

    def __init__(self, port: int, key_id: str, secret: str):
        self._host, self._key_id, self._secret = f"127.0.0.1:{port}", key_id, secret

    def call(self, action: str, version: str = "2015-11-23", **query) -> dict:
        encoded = "&".join(f"{key}={urllib.parse.quote(str(value), safe='-_.~')}" for key, value in sorted(query.items()))
        now = datetime.datetime.now(datetime.timezone.utc)
        body_hash = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": self._host, "x-acs-action": action, "x-acs-content-sha256": body_hash,
            "x-acs-date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": version,
        }
        signed = ";".join(headers)
        canonical = "\n".join(["POST", "/", encoded, *(f"{k}:{v}" for k, v in headers.items()), "", signed, body_hash])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new(self._secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={self._key_id},SignedHeaders={signed},Signature={signature}")
        request = urllib.request.Request(f"http://{self._host}/?{encoded}", data=b"", headers=headers, method="POST")
        request.remove_header("Content-type")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{action}: {error.code} {error.read().decode()}") from error


class Installation:
    """A folder with configuration and store; `copy_to` clones it while no server runs on it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        self.account: dict = {}

    def write_config(self, ports: dict, sink_port: int, sign: bool, trusted: bool):
        lines = [
            'data_dir = "data"', "[store]", 'url = "sqlite"', "[api]", f'listen = "127.0.0.1:{ports["api"]}"',
            "sends_per_second = 0",
            "[console]", f'listen = "127.0.0.1:{ports["console"]}"', "[submission]",
            f'listen = ["127.0.0.1:{ports["smtp"]}"]', "tls_listen = []", "[inbound]", "listen = []", "[metrics]",
            f'listen = "127.0.0.1:{ports["metrics"]}"', "[delivery]", 'hostname = "mta.load.test"',
            *([] if sign else ["sign = false"]),
            "[[delivery.route]]", 'domain = "*"', 'host = "127.0.0.1"', f"port = {sink_port}",
        ]
        if trusted:
            lines += ["[[submission.trusted]]", 'network = "127.0.0.1/32"',
                      f'account_id = "{self.account["account_id"]}"', f'sender_address = "{SENDER}"']
        (self.folder / "indicia.toml").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str) -> str:
        done = subprocess.run([BINARY, *arguments, "--config", "indicia.toml"], cwd=self.folder, text=True,
                              capture_output=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"indicia {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def prepare(self, sink_port: int):
        """Account, money, package, quota, domain and sender, through the same doors as a customer's."""
        ports = {name: free_port() for name in ("api", "console", "smtp", "metrics")}
        self.write_config(ports, sink_port, sign=True, trusted=False)
        self.account = json.loads(self.run("account", "create", "--name", "Load", "--email", "load@load.test", "--json"))
        account_id = str(self.account["account_id"])
        self.run("account", "credit", account_id, "2000")
        self.run("quota", "set", account_id, str(QUOTA_MAILS_PER_DAY), "--reason", "benchmark")
        server = Server(self, ports)
        try:
            api = Api(ports["api"], self.account["access_key_id"], self.account["access_key_secret"])
            api.call("CreateDomain", DomainName=DOMAIN)
            self.run("domain", "verify", account_id, DOMAIN)
            api.call("CreateMailAddress", AccountName=SENDER, Sendtype="trigger")
            bought = api.call("CreateResourcePackage", "2017-12-14", ProductCode="dm", PackageType="FPT_dm_package",
                              Specification="5000000", Duration="6", PricingCycle="Month")
            if not bought.get("Success"):
                raise RuntimeError(f"the package was not sold: {bought}")
        finally:
            server.stop()

    def copy_to(self, folder: Path) -> "Installation":
        shutil.copytree(self.folder, folder)
        made = object.__new__(Installation)
        made.folder, made.account = folder, self.account
        return made


class Server:
    """`indicia serve` on an installation."""

    sender = SENDER

    def __init__(self, installation: Installation, ports: dict):
        self.port, self.api_port = ports["smtp"], ports["api"]
        self._log = open(installation.folder / "log", "ab")
        self._process = subprocess.Popen([BINARY, "serve", "--config", "indicia.toml"], cwd=installation.folder,
                                         stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            wait_for(self._ready.is_set, "`ready` from indicia serve", READY_TIMEOUT_S)
            if self._process.poll() is not None:
                raise RuntimeError("indicia serve ended: " + (installation.folder / "log").read_text()[-2000:])
        except BaseException:
            self.stop()
            raise

    def _read(self):
        for line in self._process.stdout:
            if line.strip() == "ready":
                self._ready.set()
        self._ready.set()

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        self._log.close()


def start(template: Installation, folder: Path, sink_port: int, sign: bool) -> Server:
    ports = {name: free_port() for name in ("api", "console", "smtp", "metrics")}
    installation = template.copy_to(folder)
    installation.write_config(ports, sink_port, sign=sign, trusted=True)
    return Server(installation, ports)


def version() -> str:
    done = subprocess.run([BINARY, "--version"], capture_output=True, text=True)
    return done.stdout.strip() or "indicia"
