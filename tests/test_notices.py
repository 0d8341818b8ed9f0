"""What an account is told, over all three channels at once: the inbox in the console, e-mail, and SMS over SMPP (R14, R15)."""

import datetime
import time

import pytest

from harness.dkim_check import verify as dkim_holds
from harness.signing import Request
from harness.smsc import Smsc
from harness.waiting import wait_until

pytestmark = pytest.mark.e2e

SMALL = {"mails": 100, "price": "0.02"}
CHANNELS = ["station", "email", "sms"]


@pytest.fixture(scope="module")
def smsc():
    with Smsc() as centre:
        yield centre


@pytest.fixture(scope="module")
def server(make_server, dns, peer, mx_port, smsc):
    made = make_server(
        dns.address, delivery={"hostname": "out.indicia.test", "port": mx_port, "retry_pauses_seconds": [1, 2]},
        notices={"from": "billing@notices.indicia.test"}, billing={"package": [SMALL]},
        sms={"gateway": "smpp", "smpp": {"address": smsc.address, "system_id": "indicia", "password": "secret",
                                         "source": "Indicia"}})
    record = made.run_json("notice", "sender")
    dns.add_txt(record["dkim_name"], record["dkim_value"])
    dns.add_mx("owner.test", "mx1.peer.test")
    dns.restart()
    return made.start()


@pytest.fixture
def phone() -> str:
    return f"+8613{time.time_ns() % 10**9:09d}"


@pytest.fixture
def told(server, phone):
    """An account that can be told things everywhere, with money for packages."""
    account = server.create_account(name="Wordy", email=f"w{time.time_ns()}@owner.test", zone="UTC")
    server.run("account", "contact", account.account_id, "--phone", phone)
    server.add_credit(account, "10.00")
    return account


def states(server, account, key: str) -> dict[str, str]:
    """State by channel of the notices whose key begins so."""
    rows = server.run_lines("notice", "list", account.account_id)
    return {row["channel"]: row["state"] for row in rows if row["key"].startswith(key)}


def wait_sent(server, account, key: str):
    wait_until(lambda: states(server, account, key) == dict.fromkeys(CHANNELS, "sent"),
               f"the notice {key} is sent on every channel", 30, 0.3)


def test_r15_used_up_is_told_everywhere_at_nobodys_charge(server, told, phone, peer, dns, smsc):
    sender = server.create_sender(told, f"t{told.tag[-12:]}.sender.test")
    assert told.sdk.buy("100").success
    for start in (0, 100, 200):
        told.sdk.send(sender.address, ",".join(f"use{start + i}@peer.test" for i in range(100)))
    wait_sent(server, told, "used-up:")
    rows = server.run_lines("notice", "list", told.account_id)
    done = [row["done_at"] for row in rows if row["state"] != "waiting"]
    coming = [row["due_at"] for row in rows if row["state"] == "waiting"]
    assert [row["state"] == "waiting" for row in rows] == [False] * len(done) + [True] * len(coming), "done, then coming"
    assert done == sorted(done, reverse=True) and coming == sorted(coming) and done
    text = next(row for row in rows if row["channel"] == "sms" and row["key"].startswith("used-up:"))
    assert text["sms"]["gateway_id"] and text["sms"]["phone"] == phone, "the gateway has taken it"
    mail = peer.wait_for(told.email)[0]
    assert mail.message["From"].endswith("<billing@notices.indicia.test>")
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert dkim_holds(mail.content, dns), "the notice's signature holds"
    assert "No mail is left in any of your resource packages" in mail.message.get_content()
    assert any("used up" in text.lower() for text in smsc.wait_for(phone)), smsc.texts(phone)
    inbox = Request(f"127.0.0.1:{server.api}", told.key_id, told.secret, "QueryInStationMessages",
                    version="2017-12-14").send().json()
    assert inbox["Data"]["TotalUnread"] == 1
    # 300 mails of the account's own, and not one for what it was told.
    assert told.sdk.summary().remain_free_quota == 2000 - 200
    server.verify_ledger()


def test_r14_expiry_is_told_before_the_end_and_once(server, told, phone, peer, smsc):
    instance = told.sdk.buy("100").data.instance_id
    end = next(p.expiry_time for p in told.sdk.packages() if p.instance_id == instance)
    end = datetime.datetime.fromisoformat(end)
    planned = states(server, told, f"expiry:{instance}:")
    assert planned == dict.fromkeys(CHANNELS, "waiting")
    to_thirty_days_before = (end - datetime.timedelta(days=30) - server.now()).total_seconds()
    try:
        server.restart_ahead(int(to_thirty_days_before) + 120)
        wait_sent(server, told, f"expiry:{instance}:30")
        assert states(server, told, f"expiry:{instance}:7") == dict.fromkeys(CHANNELS, "waiting")
        server.restart_ahead(int(to_thirty_days_before) + 240)
        mails = [mail for mail in peer.wait_for(told.email) if instance in mail.message.get_content()]
        texts = [text for text in smsc.wait_for(phone) if instance in text]
        time.sleep(2)
        assert (len(mails), len(texts)) == (1, 1), "once, also after a restart"
        # The same date everywhere: the stored end in the stored zone.
        shown = end.strftime("%Y-%m-%d %H:%M")
        assert shown in mails[0].message.get_content() and shown in texts[0]
        assert "30 days before" in mails[0].message.get_content()
    finally:
        server.restart_ahead(0)
    server.verify_ledger()
