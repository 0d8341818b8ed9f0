"""What an operator relies on: metrics, health, readiness, logs, and signals."""

import json
import time

import pytest
import requests

from harness.waiting import wait_until

pytestmark = pytest.mark.e2e


def get(server, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{server.metrics}{path}", timeout=10)


def test_health_and_readiness(server):
    assert get(server, "/healthz").status_code == 200
    assert get(server, "/readyz").status_code == 200
    assert get(server, "/nothing").status_code == 404


def test_metrics_are_valid_and_count_mails(server, account, sender, peer):
    page = get(server, "/metrics")
    assert page.status_code == 200
    lines = [line for line in page.text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 10
    for line in lines:
        name, value = line.rsplit(" ", 1)
        float(value)
        assert name.startswith("indicia_"), line

    def total() -> float:
        counted = [line for line in get(server, "/metrics").text.splitlines()
                   if "delivered" in line.lower() and not line.startswith("#") and "bucket" not in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counted)

    before = total()
    to = f"metric-{account.tag}@peer.test"
    account.sdk.send(sender.address, to)
    peer.wait_for(to)
    wait_until(lambda: total() > before, "a counter of delivered mails grew")


def test_log_lines_about_a_mail_carry_its_id(server, account, sender, peer):
    to = f"log-{account.tag}@peer.test"
    env_id = account.sdk.send(sender.address, to)
    peer.wait_for(to)
    server.wait_outcome(account, to, status=0)
    time.sleep(0.3)
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines() if line.startswith("{")]
    assert lines, "logs are structured: one JSON object a line"
    about = [line for line in lines if env_id in json.dumps(line)]
    assert len(about) >= 2, "accepted and delivered at least"
    for line in about:
        found = line.get("message_id", line.get("fields", {}).get("message_id"))
        assert str(found) == env_id, line


def test_secrets_are_not_logged(server, account, sender):
    account.sdk.send(sender.address, "quiet@peer.test", text="the body is private")
    log = server.log_path.read_text()
    for secret in (account.secret, account.console_password, sender.password, "the body is private"):
        assert secret not in log


def test_sigterm_stops_with_status_0_and_frees_the_ports(make_server):
    server = make_server().start()
    assert server.output[0] == "ready" or "ready" in server.output
    assert server.stop() == 0
    server.start()
    assert get(server, "/readyz").status_code == 200
    assert server.stop() == 0


def test_data_directory_is_private(make_server):
    server = make_server().start()
    data = server.folder / "data"
    secret_files = [p for p in data.rglob("*") if p.is_file() and any(w in p.name for w in ("key", "secret"))]
    for path in secret_files:
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} can be read by others"
    server.stop()
