"""The quota that reputation earns: the brake and a pause as a sender and an operator see them, and a week that raises it."""

import datetime
import json
import smtplib
import subprocess
import time

import pytest

from harness.demo import Demo
from harness.sdk import ClientException, Sdk
from harness.server import BINARY
from harness.submission import connect, message
from harness.visitor import Visitor
from harness.waiting import wait_until

pytestmark = pytest.mark.e2e

LADDER = [10, 20, 40, 80]
RECIPIENTS_MIN = 20
BRAKE_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def server(make_server, dns, peer, mx_port):
    return make_server(
        dns.address, delivery={"hostname": "out.indicia.test", "port": mx_port, "retry_pauses_seconds": [1, 2]},
        notices={"from": "billing@notices.indicia.test"},
        quota={"version": "small", "ladder": LADDER, "initial_level": 2, "recipients_min": RECIPIENTS_MIN,
               "lower": {"reported": 0.25}}).start()


@pytest.fixture
def explain(server, account):
    return lambda: server.run_json("quota", "explain", account.account_id)


def send(account, sender, name: str, good: int, bad: int = 0):
    """One call; the receiving server says of the bad ones that they do not exist."""
    kinds = ["good"] * good + ["nobody"] * bad
    to = [f"{kind}-{name}{number}-{account.tag}@peer.test" for number, kind in enumerate(kinds)]
    account.sdk.send(sender.address, ",".join(to))


def wait_paused(account):
    wait_until(lambda: account.sdk.summary().user_status == 4, "the account is paused", BRAKE_TIMEOUT_S, 0.5)


def test_the_ladder_is_the_configurations(account, explain):
    summary = account.sdk.summary()
    assert (summary.quota_level, summary.max_quota_level, summary.daily_quota, summary.month_quota) == (2, 3, 40, 1200)
    shown = explain()
    assert (shown["level"], shown["ladder"], shown["policy"]) == (2, LADDER, "small")
    assert shown["outlook"]["reasons"][0]["reason"] == "too-few-recipients"


def test_r22_a_bought_list_is_paused_within_a_minute_told_explained_and_released(server, account, sender, explain):
    send(account, sender, "list", good=16, bad=8)
    wait_paused(account)
    with pytest.raises(ClientException) as refused:
        account.sdk.send(sender.address, f"late-{account.tag}@peer.test")
    assert refused.value.code == "InvalidSendMail.Spam"
    for part in ("paused since", "invalid addresses: 33.33 % (8 of 24)", "the line is 10 %"):
        assert part in refused.value.message, refused.value.message
    with connect(server.smtp, sender) as client, pytest.raises(smtplib.SMTPDataError) as by_smtp:
        client.sendmail(sender.address, ["you@peer.test"], message(sender.address, "you@peer.test"))
    assert by_smtp.value.smtp_code == 551 and b"paused since" in by_smtp.value.smtp_error

    def told():
        rows = server.run_lines("notice", "list", account.account_id)
        return [row for row in rows if row["kind"] == "quota-paused" and row["channel"] == "station"
                and row["state"] == "sent"]
    assert len(wait_until(told, "the pause is told in the console")) == 1
    visitor = Visitor(f"http://127.0.0.1:{server.console}")
    visitor.log_in(account.email, account.console_password)
    assert "Sending is paused: invalid addresses 33.33 %" in visitor.page(f"/accounts/{account.account_id}/messages").text

    shown = explain()
    assert shown["paused"]["by"] == "brake" and shown["outlook"]["action"] == "release"
    assert [pause["replays"] for pause in shown["brake_pauses"]] == [True]
    text = server.run("quota", "explain", account.account_id).stdout
    for part in ("PAUSED", "by the brake", "run again, the same", "If the week ended now:\n  Released"):
        assert part in text, text
    assert explain()["daily_mails"] == LADDER[1], "one level below"

    done = server.run("quota", "release", account.account_id, "--reason", "the list is thrown away")
    assert "20 mails a day" in done.stdout
    assert account.sdk.summary().user_status == 0
    server.set_quota(account, 40)
    send(account, sender, "clean", good=2)
    shown = explain()
    assert shown["paused"] is None and shown["outlook"]["evidence"]["counts"]["invalid"] == 0, "evidence begins anew"
    # Newest first. The release began new evidence, so nothing pauses again by what was before.
    assert [change["kind"] for change in shown["changes"]] == ["operator", "release", "pause"]
    time.sleep(3)
    assert account.sdk.summary().user_status == 0


def test_an_operators_pause_is_the_operators_to_end(server, account, sender, explain):
    server.run("quota", "pause", account.account_id, "--reason", "traps were hit")
    wait_paused(account)
    shown = explain()
    assert (shown["paused"]["by"], shown["outlook"]["action"], shown["daily_mails"]) == ("operator", "keep", 40)
    again = server.run("quota", "pause", account.account_id, "--reason", "x", expect=1)
    assert "paused already" in again.stderr
    server.run("quota", "release", account.account_id, "--reason", "a mistake of ours")
    assert "not paused" in server.run("quota", "release", account.account_id, "--reason", "x", expect=1).stderr
    send(account, sender, "after", good=1)
    entries = server.run_lines("audit", "list", "--account", account.account_id)
    assert [entry["action"] for entry in entries][:2] == ["release-sending", "pause-sending"]


def test_r20_a_ceiling(server, account, explain):
    assert "from 2 " in server.run("quota", "ceiling", account.account_id, "1", expect=2).stderr
    server.run("quota", "ceiling", account.account_id, "high", expect=2)
    server.run("quota", "ceiling", account.account_id, "2")
    assert (explain()["ceiling_level"], account.sdk.summary().max_quota_level) == (2, 2)
    server.run("quota", "ceiling", account.account_id, "none")
    assert (explain()["ceiling_level"], account.sdk.summary().max_quota_level) == (None, 3)


def test_a_dry_run_changes_nothing(server, account):
    rows = server.run_lines("quota", "review", "--dry-run", account.account_id)
    assert [(row["account_id"], row["action"]) for row in rows] == [(account.account_id, "keep")]
    everybody = server.run_lines("quota", "review", "--dry-run")
    assert account.account_id in {row["account_id"] for row in everybody}
    assert "Kept at 40 mails a day." in server.run("quota", "review", "--dry-run", account.account_id).stdout
    assert server.run_json("quota", "review")["failed"] == 0
    server.run("quota", "review", account.account_id, expect=2)
    for command in (["review", "--dry-run", "7"], ["explain", "7"], ["pause", "7", "--reason", "x"],
                    ["release", "7", "--reason", "x"], ["ceiling", "7", "none"]):
        assert "no account 7" in server.run("quota", *command, expect=1).stderr, command


def test_a_policy_that_makes_no_sense_is_a_wrong_configuration(server):
    for key, value, word in (("PAUSE__INVALID", "101", "pause.invalid"), ("LADDER", "[5, 5]", "ladder"),
                             ("LOWER__ARRIVAL", "85.00001", "four decimals"), ("CONFIDENCE", "96", "97.5")):
        done = server.run("config", "check", expect=2, env={f"INDICIA_QUOTA__{key}": value})
        assert word in done.stderr, done.stderr


@pytest.fixture(scope="class")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    made = Demo("--data", folder, env={
        "INDICIA_QUOTA__LADDER": json.dumps(LADDER), "INDICIA_QUOTA__INITIAL_LEVEL": "0",
        "INDICIA_QUOTA__RECIPIENTS_MIN": str(RECIPIENTS_MIN)})
    made.env["INDICIA_DATA_DIR"] = str(folder)
    yield made
    made.stop()


class TestWeek:
    """On the demo, whose clock can be moved."""

    def explain(self, demo) -> dict:
        def run(*arguments):
            return json.loads(subprocess.run([BINARY, *arguments, "--json"], env=demo.env, capture_output=True,
                                             text=True, timeout=60, check=True).stdout.splitlines()[0])
        account_id = run("account", "list")["account_id"]
        return run("quota", "explain", str(account_id))

    def advance_to(self, demo, instant: datetime.datetime):
        """To an hour after it."""
        now = datetime.datetime.fromisoformat(self.explain(demo)["outlook"]["until"])
        hours = int((instant - now).total_seconds() // 3600) + 2
        demo.advance(f"{hours}h")

    def week_end(self, demo) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.explain(demo)["outlook"]["week_ends_at"])

    def test_r19_a_good_week_raises_by_itself(self, demo):
        key, secret = (demo.snippet("SDK").split(f"{name}='")[1].split("'")[0]
                       for name in ("access_key_id", "access_key_secret"))
        sdk = Sdk(f"127.0.0.1:{demo.api_port}", key, secret)
        sender = demo.snippet("SDK").split("account_name='")[1].split("'")[0]
        assert (sdk.summary().quota_level, sdk.summary().daily_quota) == (0, 10)
        self.advance_to(demo, self.week_end(demo))
        for day in range(3):
            sdk.send(sender, ",".join(f"reader{number}-{day}@reader.example" for number in range(9)))
            known = 9 * (day + 1)
            wait_until(lambda: self.explain(demo)["outlook"]["evidence"]["counts"]["delivered"] >= known,
                       f"{known} mails are delivered")
            demo.advance("1d")
        outlook = self.explain(demo)["outlook"]
        assert (outlook["action"], outlook["new_daily_mails"]) == ("raise", 20), outlook
        self.advance_to(demo, self.week_end(demo))
        wait_until(lambda: sdk.summary().daily_quota == 20, "the review has raised the quota", 90, 0.5)
        shown = self.explain(demo)
        assert (shown["level"], shown["reviews"][0]["action"], shown["reviews"][0]["replays"]) == (1, "raise", True)
        visitor = Visitor(demo.field("Console"))
        visitor.log_in(*demo.login())
        account_id = shown["account_id"]
        wait_until(lambda: "Your quota is raised to 20 mails a day" in visitor.page(f"/accounts/{account_id}/messages").text,
                   "the account is told")
