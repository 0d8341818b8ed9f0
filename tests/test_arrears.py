"""Hours become bills, bills are collected, and who cannot pay stops sending until the money is there (R10, R11)."""

import re
import smtplib
import time

import pytest

from harness.signing import Request
from harness.submission import connect, message

pytestmark = pytest.mark.e2e

HOUR_S = 3600
FREE_PER_DAY = 200


@pytest.fixture(scope="module")
def server(make_server, dns, peer, mx_port):
    """Collects from a cent on, so that the first bill shows whether it can be paid."""
    return make_server(dns.address, delivery={"hostname": "out.indicia.test", "port": mx_port},
                       billing={"collection_threshold": "0.01"}).start()


def api_send(server, account, sender, to: str):
    """SingleSendMail, signed at the server's time."""
    return Request(f"127.0.0.1:{server.api}", account.key_id, account.secret, "SingleSendMail", date=server.now(),
                   form={"AccountName": sender.address, "AddressType": "1", "ReplyToAddress": "false",
                         "ToAddress": to, "Subject": "Hello", "TextBody": "Body"}).send()


def smtp_send(server, sender, to: str):
    with connect(server.smtp, sender) as client:
        client.sendmail(sender.address, [to], message(sender.address, to))


def use(server, account, sender, mails: int):
    """Has so many mails accepted, all in one clock hour."""
    now = server.now()
    if (now.minute, now.second) >= (59, 30):
        time.sleep(61 - now.second)
    for start in range(0, mails, 100):
        count = min(100, mails - start)
        answer = api_send(server, account, sender, ",".join(f"use{start + i}@peer.test" for i in range(count)))
        assert answer.status_code == 200, answer.text


def wait_for_bill(server, account):
    for _ in range(60):
        bills = server.run_lines("bill", "list", account.account_id, "--month", server.now().strftime("%Y-%m"))
        if bills:
            return bills
        time.sleep(0.5)
    raise AssertionError(f"no bill was made; log ends:\n{server.log_tail()}")


def test_r10_r11_an_hour_is_billed_and_who_cannot_pay_stops_until_the_money_is_there(server):
    account = server.create_account(zone="UTC")
    sender = server.create_sender(account, f"t{account.tag[-12:]}.sender.test")
    use(server, account, sender, FREE_PER_DAY + 100)

    server.restart_ahead(HOUR_S + 60)
    bills = wait_for_bill(server, account)
    # 100 mails at 0.00029 are 0.029: three cents.
    assert [(bill["mails"], bill["amount"]) for bill in bills] == [(100, "0.03")]

    refused = api_send(server, account, sender, "a@peer.test")
    assert (refused.status_code, refused.json()["Code"]) == (400, "InvalidSendMail.Overdue"), refused.text
    assert "pay" in refused.json()["Message"].lower()
    with pytest.raises(smtplib.SMTPException) as by_smtp:
        smtp_send(server, sender, "b@peer.test")
    assert "551" in str(by_smtp.value), by_smtp.value
    shown = server.run_json("account", "show", account.account_id)
    assert shown["due"] == "0.03" and "overdue" in str(shown["status"])

    server.add_credit(account, "5.00")
    paid_at = time.monotonic()
    accepted = api_send(server, account, sender, "c@peer.test")
    assert accepted.status_code == 200, accepted.text
    assert time.monotonic() - paid_at < 1, "restored within a second"
    smtp_send(server, sender, "d@peer.test")
    # Paid from what came in, to the cent.
    assert server.run_json("account", "show", account.account_id)["cash"] == "4.97"
    kinds = [line["kind"] for line in server.run_lines("ledger", "lines", account.account_id, "--unit", "money")]
    assert kinds == ["bill", "credit", "settlement"]
    server.verify_ledger()


def test_r26_bills_made_again_by_hand_change_nothing(server):
    before = server.run("ledger", "verify").stdout
    for _ in range(3):
        assert re.search(r"\b0 bills", server.run("bill", "make").stdout)
    assert server.run("ledger", "verify").stdout == before


def test_r11_a_credit_limit_pays_what_the_balance_does_not(server):
    server.restart_ahead(0)
    account = server.create_account(zone="UTC")
    sender = server.create_sender(account, f"t{account.tag[-12:]}.sender.test")
    server.run("account", "credit-limit", account.account_id, "0.02", "--reason", "a small one")
    use(server, account, sender, FREE_PER_DAY + 50)
    server.restart_ahead(HOUR_S + 60)
    wait_for_bill(server, account)
    # 50 mails are 0.0145: one cent, which the limit covers.
    assert api_send(server, account, sender, "a@peer.test").status_code == 200
    shown = server.run_json("account", "show", account.account_id)
    assert (shown["cash"], shown["due"]) == ("-0.01", "0.00")
    server.verify_ledger()


