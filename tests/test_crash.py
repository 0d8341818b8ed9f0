"""SIGKILL under load, again and again, then the books are compared with what the world outside saw.

Clients send without pause over SMTP and the API while the server is killed and started again. A mail whose
answer never came is *in doubt*: those with an idempotency key are sent again with the same key until they
are answered, the others are left as they are. At the end, from outside:

- every mail answered with success was delivered at least once;
- a mail sent again under its key is one mail (one EnvId), however often it was delivered;
- mails charged = mails delivered, each counted once: nothing was charged that was not accepted, nothing
  accepted went uncharged, nothing was charged twice;
- `indicia ledger verify` was content after every restart.

E2E_CRASH_KILLS sets the kills for each engine (default 26, so 52 in the suite).
"""

import itertools
import os
import random
import smtplib
import threading
import time
from collections import defaultdict

import pytest

from harness.submission import connect, message

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("E2E_CRASH_KILLS", "26"))
LOAD_S = (0.3, 1.2)
SMTP_CLIENTS, API_CLIENTS = 6, 2
FREE_CREDIT, PACKAGE = 2000, 50_000
DELIVERED_WITHIN_S = 150
BODY = "\r\n".join(["Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod"] * 30)


class Ledger:
    """What the clients know about each mail: token -> recipients, and its answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.accepted: dict[str, list[str]] = {}
        self.refused: dict[str, str] = {}
        self.in_doubt: dict[str, list[str]] = {}
        self.again: list[tuple[str, list[str]]] = []

    def note_accepted(self, token, recipients):
        with self.lock:
            self.accepted[token] = recipients
            self.in_doubt.pop(token, None)

    def note_refused(self, token, why):
        with self.lock:
            self.refused[token] = why

    def note_in_doubt(self, token, recipients, keyed: bool):
        with self.lock:
            self.in_doubt[token] = recipients
            if keyed:
                self.again.append((token, recipients))

    def next_again(self):
        with self.lock:
            return self.again.pop() if self.again else None


class SmtpClient(threading.Thread):
    """Sends one mail after the other; every second one with an idempotency key, every fifth to three."""

    def __init__(self, name, server, sender, ledger, stop):
        super().__init__(daemon=True)
        self.label, self.server, self.sender, self.ledger, self.halt = name, server, sender, ledger, stop

    def run(self):
        client = None
        for number in itertools.count():
            if self.halt.is_set():
                break
            again = self.ledger.next_again()
            token, recipients = again or self._fresh(number)
            keyed = token.startswith("key-")
            try:
                client = client or connect(self.server.smtps, self.sender, "implicit")
                client.sendmail(self.sender.address, recipients, self._content(token, recipients[0], keyed))
                self.ledger.note_accepted(token, recipients)
            except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused) as refused:
                # A keyed mail may have been accepted by an earlier try: only a first try is a sure refusal.
                if again:
                    self.ledger.note_in_doubt(token, recipients, keyed)
                else:
                    self.ledger.note_refused(token, str(refused))
                client = None
            except (OSError, smtplib.SMTPException):
                self.ledger.note_in_doubt(token, recipients, keyed)
                client = None
                time.sleep(0.02)

    def _fresh(self, number):
        token = f"{'key' if number % 2 else 'one'}-{self.label}-{number}"
        return token, [f"{token}.{i}@peer.test" for i in range(3 if number % 5 == 0 else 1)]

    def _content(self, token, to, keyed) -> bytes:
        extra = "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@crash.test>\r\n" % token
        if keyed:
            extra += f"X-Indicia-Idempotency-Key: {token}\r\n"
        return message(self.sender.address, to, token, BODY, extra)


class ApiClient(threading.Thread):
    """The same by SingleSendMail, without keys."""

    def __init__(self, name, account, sender, ledger, stop):
        super().__init__(daemon=True)
        self.label, self.account, self.sender, self.ledger, self.halt = name, account, sender, ledger, stop

    def run(self):
        for number in itertools.count():
            if self.halt.is_set():
                break
            token = f"api-{self.label}-{number}"
            recipients = [f"{token}.0@peer.test"]
            try:
                self.account.sdk.send(self.sender.address, recipients[0], subject=token)
                self.ledger.note_accepted(token, recipients)
            except Exception as failed:  # the SDK wraps every network error in classes of its own
                status = getattr(failed, "status_code", None)
                if status and 400 <= status < 500:
                    self.ledger.note_refused(token, str(failed))
                else:
                    self.ledger.note_in_doubt(token, recipients, keyed=False)
                    time.sleep(0.02)


def load(server, account, sender, ledger, label: str, seconds: float, kill: bool):
    stop = threading.Event()
    clients = [SmtpClient(f"{label}s{i}", server, sender, ledger, stop) for i in range(SMTP_CLIENTS)]
    clients += [ApiClient(f"{label}a{i}", account, sender, ledger, stop) for i in range(API_CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    if kill:
        server.kill()
    stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive(), "a client hangs: some answer never came"


def charged(account) -> int:
    """Mails paid for, by free credit and package together."""
    [package] = account.sdk.packages()
    return (FREE_CREDIT - account.sdk.summary().remain_free_quota) + (PACKAGE - int(package.remaining_amount))


def test_r26_every_accepted_mail_survives_and_is_charged_once(make_server, dns, peer, mx_port, engine, capsys):
    server = make_server(dns.address, delivery={"port": mx_port, "retry_pauses_seconds": [1, 2]}).start()
    account = server.create_account("Crash")
    sender = server.create_sender(account, "crash.test")
    server.set_quota(account, 60_000)
    server.add_credit(account, "100")
    assert account.sdk.buy().success
    ledger, chance = Ledger(), random.Random(20261122)
    peer.received.clear()

    for number in range(KILLS):
        load(server, account, sender, ledger, f"{number}", chance.uniform(*LOAD_S), kill=True)
        server.start()
        server.verify_ledger()

    while ledger.again:
        load(server, account, sender, ledger, "last", 0.5, kill=False)

    def missing():
        with peer.lock:
            seen = {to for mail in peer.received for to in mail.rcpt_tos}
        return [to for recipients in ledger.accepted.values() for to in recipients if to not in seen]

    end = time.monotonic() + DELIVERED_WITHIN_S
    while lost := missing():
        assert time.monotonic() < end, f"{len(lost)} accepted mails did not arrive, such as {lost[:5]}"
        time.sleep(0.5)
    # What was in doubt and unkeyed may still be on its way: the queue is empty when nothing new comes.
    before = -1
    end = time.monotonic() + DELIVERED_WITHIN_S
    while before != len(peer.received) and time.monotonic() < end:
        before = len(peer.received)
        time.sleep(5)

    copies = defaultdict(int)
    env_ids = defaultdict(set)
    for mail in peer.received:
        for to in mail.rcpt_tos:
            copies[mail.env_id, to] += 1
            env_ids[to].add(mail.env_id)
    delivered, duplicates = len(copies), sum(copies.values()) - len(copies)
    doubtful = {to for recipients in ledger.in_doubt.values() for to in recipients}
    known = doubtful | {to for recipients in ledger.accepted.values() for to in recipients}
    with capsys.disabled():
        print(f"\ncrash on {engine}: kills {KILLS}, accepted {sum(map(len, ledger.accepted.values()))}, "
              f"in doubt {len(doubtful)}, delivered {delivered}, charged {charged(account)}, "
              f"duplicates {duplicates}, refused {len(ledger.refused)}")

    assert not missing()
    assert set(env_ids) <= known, "a refused mail was delivered"
    assert all(len(ids) == 1 for ids in env_ids.values()), "one mail was accepted twice"
    assert charged(account) == delivered
    # R19: what reputation is judged by was counted in the transactions of what it counts.
    day = server.run_json("quota", "explain", account.account_id)["brake"]["readings"]["windows"][-1]["counts"]
    assert (day["accepted"], day["delivered"], day["invalid"]) == (delivered, delivered, 0)
    assert len(ledger.accepted) > KILLS, "the load was too small to prove anything"
    assert server.stop() == 0
    server.verify_ledger()
