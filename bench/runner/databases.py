"""Runs a program of this crate on a fresh database of either engine, and drops the database after it."""

import json
import shutil
import subprocess
from pathlib import Path

from . import postgres, tools

ENGINES = ("SQLite", "PostgreSQL")
RUN_TIMEOUT_S = 1800


def run(program: str | Path, *parts) -> dict:
    """`program`: the name of one of this crate's, or the path of another build's."""
    done = subprocess.run([tools.RELEASE / program, *map(str, parts)], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(map(str, parts))}: {done.stderr}")
    return json.loads(done.stdout)


def run_in_fresh(program: str | Path, engine: str, server: postgres.Server, folder: Path, command: str,
                 *parts) -> dict:
    data_dir = folder / "store"
    database = server.database() if engine == "PostgreSQL" else None
    url = server.url(database) if database else "sqlite"
    try:
        return run(program, command, "--url", url, "--data-dir", data_dir, *parts)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
        if database:
            server.drop(database)
