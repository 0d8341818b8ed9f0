"""A private PostgreSQL cluster on loopback: one for a pytest worker, one database for each server.

PostgreSQL refuses to run as root, so under root it is started as the user `postgres`. fsync stays on:
the crash tests would prove nothing without it.
"""

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from .ports import free_port
from .waiting import wait_until


def _bin_dir() -> Path:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
    if found:
        return Path(found[-1]).parent
    initdb = shutil.which("initdb")
    if not initdb:
        raise RuntimeError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(initdb).resolve().parent


class Cluster:
    def __init__(self):
        self._dir = Path(tempfile.mkdtemp(prefix="indicia-pg-"))
        self._as = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._dir, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._count = 0
        self._start()

    def _start(self):
        bin_dir, data = _bin_dir(), self._dir / "data"
        password_file = self._dir / "password"
        password_file.write_text(self.password)
        if self._as:
            os.chown(password_file, self._as["user"], self._as["group"])
        subprocess.run(
            [bin_dir / "initdb", "-D", data, "-U", "indicia", "-A", "scram-sha-256", f"--pwfile={password_file}",
             "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=self._dir, **self._as)
        self._log = open(self._dir / "log", "wb")
        self._process = subprocess.Popen(
            [bin_dir / "postgres", "-D", data, "-p", str(self.port), "-k", self._dir,
             "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=256MB"],
            stdout=self._log, stderr=self._log, cwd=self._dir, **self._as)
        wait_until(self._answers, "PostgreSQL answers", timeout_s=30)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("PostgreSQL stopped: " + (self._dir / "log").read_text()[-2000:])
        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
            return True
        except psycopg.OperationalError:
            return False

    def _conninfo(self, database: str) -> str:
        return f"postgresql://indicia:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Creates an empty database and returns the store URL for it."""
        self._count += 1
        name = f"indicia_{self._count}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgres://indicia:{self.password}@127.0.0.1:{self.port}/{name}"

    def stop(self):
        """At once, without a last checkpoint: nobody reads these databases again."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)
        self._log.close()
        shutil.rmtree(self._dir, ignore_errors=True)
