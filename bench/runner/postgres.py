"""A PostgreSQL server of one's own in a temporary folder, and the plain transaction that pgbench runs on it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from .measure import wait_for
from .tools import free_port

SETTINGS = {"listen_addresses": "127.0.0.1", "shared_buffers": "1GB", "max_connections": "200",
            "max_wal_size": "4GB"}

# What a service without a ledger of its own does for each mail: lock, look, take, note, queue.
TABLES = """
CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE ledger (id bigserial PRIMARY KEY, account_id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(),
                     amount bigint NOT NULL, before bigint NOT NULL, after bigint NOT NULL, reference text NOT NULL);
CREATE INDEX ledger_account ON ledger (account_id, at);
CREATE TABLE queue (id bigserial PRIMARY KEY, account_id bigint NOT NULL, address text NOT NULL,
                    due_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX queue_due ON queue (due_at);
INSERT INTO account SELECT i, 1000000000 FROM generate_series(1, {accounts}) AS s(i);
"""
TRANSACTION = """
\\set id random(1, {accounts})
BEGIN;
SELECT balance AS before FROM account WHERE id = :id FOR UPDATE \\gset
UPDATE account SET balance = balance - 1 WHERE id = :id AND balance >= 1;
INSERT INTO ledger (account_id, amount, before, after, reference) VALUES (:id, 1, :before, :before - 1, 'mail');
INSERT INTO queue (account_id, address) VALUES (:id, 'someone@example.net');
COMMIT;
"""


def binaries() -> Path | None:
    found = [path / "bin" for path in Path("/usr/lib/postgresql").glob("*") if (path / "bin/initdb").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def problem() -> str | None:
    if binaries() is None or shutil.which("pgbench") is None:
        return "PostgreSQL's server and pgbench are needed: apt-get install postgresql"
    return None


class Server:
    """Started by the constructor. As root it runs as the user `postgres`, since PostgreSQL refuses to be root."""

    def __init__(self, folder: Path):
        self._folder, self.port, self._databases = folder, free_port(), 0
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        folder.mkdir()
        if self._user:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust")
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [*self._user, binaries() / "postgres", "-D", data, "-p", str(self.port), "-k", folder, *settings],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, "PostgreSQL answers", 30)

    def _run(self, program: str, *arguments, text: str | None = None) -> str:
        done = subprocess.run([*self._user, binaries() / program, *map(str, arguments)], input=text, text=True,
                              capture_output=True, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")
        return done.stdout

    def _answers(self) -> bool:
        try:
            self.sql("postgres", "SELECT 1")
            return True
        except RuntimeError:
            return False

    def sql(self, database: str, text: str) -> str:
        return self._run("psql", "-h", self._folder, "-p", self.port, "-U", "postgres", "-d", database, "-qAt",
                         "-v", "ON_ERROR_STOP=1", text=text)

    def database(self) -> str:
        """A new one; its name."""
        self._databases += 1
        name = f"bench{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def drop(self, database: str):
        self.sql("postgres", f"DROP DATABASE {database} WITH (FORCE)")

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def plain_transactions(self, accounts: int, clients: int, seconds: float) -> float:
        """Plain transactions per second, over the unix socket and with prepared statements."""
        database = self.database()
        self.sql(database, TABLES.format(accounts=accounts))
        script = self._folder / "transaction.sql"
        script.write_text(TRANSACTION.format(accounts=accounts))
        output = self._run("pgbench", "-h", self._folder, "-p", self.port, "-U", "postgres", "-n", "-M", "prepared",
                           "-f", script, "-c", clients, "-j", 2, "-T", max(1, round(seconds)), database)
        booked = int(self.sql(database, "SELECT count(*) FROM ledger"))
        taken = int(self.sql(database, "SELECT sum(1000000000 - balance) FROM account"))
        if booked != taken:
            raise RuntimeError(f"pgbench booked {booked} lines and took {taken}")
        self.drop(database)
        return float(re.search(r"tps = ([0-9.]+)", output).group(1))

    def stop(self):
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "fast", "stop")
        self._process.wait(30)
