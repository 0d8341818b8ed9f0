"""Spam reports: feedback loops over SMTP, the operators' API, the command line; each mail counts once (R26)."""

import email.policy
import smtplib
from email.message import EmailMessage

import pytest
import requests

from harness.submission import connect

pytestmark = pytest.mark.e2e

HEADER = "X-Indicia-Report-Token"
RETURN_PATHS = "out.indicia.test"


def delivered(server, account, sender, peer, name: str):
    """A mail that the peer has accepted: EnvId, recipient, and the copy as it came."""
    to = f"{name}-{account.tag}@peer.test"
    env_id = account.sdk.send(sender.address, to)
    received = peer.wait_for(to)[0]
    server.wait_outcome(account, to, status=0)
    return env_id, to, received


def arf(header: bytes, kind: str = "abuse", more: str = "") -> bytes:
    """A report as a feedback loop makes it, with the reported mail's header."""
    parts = [
        b"From: <fbl@provider.test>\r\nTo: <feedback@out.indicia.test>\r\nSubject: FW: report\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=feedback-report; boundary="=_B"\r\n\r\n',
        b"--=_B\r\nContent-Type: text/plain\r\n\r\nAn abuse report.\r\n\r\n",
        f"--=_B\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: Loop/1.0\r\n"
        f"Version: 1\r\nOriginal-Rcpt-To: <redacted@peer.test>\r\n{more}\r\n".encode(),
        b"--=_B\r\nContent-Type: text/rfc822-headers\r\n\r\n", header, b"\r\n--=_B--\r\n",
    ]
    return b"".join(parts)


def redacted(received, to: str) -> bytes:
    """The header of a copy as loops pass it on: no recipient, no return path."""
    header = received.content.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0].replace(b"\n", b"\r\n")
    assert to.encode() in header
    return header.replace(to.encode(), b"redacted@peer.test") + b"\r\n"


def send(server, content: bytes, to: str = f"feedback@{RETURN_PATHS}"):
    with smtplib.SMTP("127.0.0.1", server.inbound, timeout=30) as client:
        refused = client.sendmail("fbl@provider.test", [to], content)
    assert not refused


def reports(server, account) -> list[dict]:
    return server.run_lines("report", "list", account.account_id)


def token_of(received) -> str:
    return str(received.message[HEADER])


def test_the_token_on_top_is_the_copys_own(server, account, sender, peer):
    env_id, to, received = delivered(server, account, sender, peer, "token")
    assert received.content.startswith(HEADER.encode())
    local, _, domain = received.mail_from.partition("@")
    assert (token_of(received), domain) == (local, RETURN_PATHS)
    assert received.env_id == env_id


def test_r26_a_report_is_counted_once(server, account, sender, peer):
    env_id, to, received = delivered(server, account, sender, peer, "complains")
    report = arf(redacted(received, to), more="Incidents: 3\r\n")
    for _ in range(2):
        send(server, report)
    send(server, report, received.mail_from)
    assert [(row["message_id"], row["recipient"], row["source"], row["type"]) for row in reports(server, account)] == [
        (env_id, to, "feedback", "abuse")]
    shown = server.message_show(env_id)
    assert shown.count("spam-report:") == 1 and "reported as spam (abuse, by fbl@provider.test)" in shown
    assert "repeat" not in shown


def test_who_reported_is_written_to_no_more(server, account, sender, peer):
    _, to, received = delivered(server, account, sender, peer, "annoyed")
    send(server, arf(redacted(received, to)))
    before = account.sdk.summary().remain_free_quota
    with pytest.raises(Exception) as refused:
        account.sdk.send(sender.address, to)
    assert "report" in str(refused.value).lower()
    assert account.sdk.summary().remain_free_quota == before


def test_a_forged_token_counts_for_nobody(server, account, sender, peer):
    _, to, received = delivered(server, account, sender, peer, "victim")
    _, _, others = delivered(server, account, sender, peer, "other")
    token, unproven = token_of(received), server.metric("indicia_inbound_messages_total", result="unproven")
    flipped = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    mixed = token.rsplit("-", 1)[0] + "-" + token_of(others).rsplit("-", 1)[1]
    for forged in (flipped, mixed, "", "b-x-y"):
        header = redacted(received, to).replace(token.encode(), forged.encode())
        send(server, arf(header))
    without = b"\r\n".join(
        line for line in redacted(received, to).split(b"\r\n") if not line.startswith(HEADER.encode()))
    send(server, arf(without))
    assert reports(server, account) == []
    assert server.metric("indicia_inbound_messages_total", result="unproven") == unproven + 5


def test_a_sender_cannot_put_anothers_token_into_his_mail(server, account, sender, peer):
    _, to, received = delivered(server, account, sender, peer, "first")
    culprit = server.create_account()
    his = server.create_sender(culprit, f"c{culprit.tag[-12:]}.sender.test")
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = his.address, f"tricked-{culprit.tag}@peer.test", "x"
    mail[HEADER] = token_of(received)
    mail.set_content("x")
    with connect(server.smtps, his, "implicit") as client:
        client.sendmail(his.address, [mail["To"]], mail.as_bytes())
    copy = peer.wait_for(str(mail["To"]))[0]
    assert copy.message.get_all(HEADER) == [copy.mail_from.partition("@")[0]]
    send(server, arf(redacted(copy, str(mail["To"]))))
    assert len(reports(server, culprit)) == 1 and reports(server, account) == []


def test_not_spam_is_a_line_and_no_report(server, account, sender, peer):
    env_id, to, received = delivered(server, account, sender, peer, "pleased")
    send(server, arf(redacted(received, to), kind="not-spam"))
    assert reports(server, account) == []
    assert "feedback: " in server.message_show(env_id)


def test_people_are_not_swallowed(server):
    with smtplib.SMTP("127.0.0.1", server.inbound, timeout=30) as client:
        client.ehlo()
        client.mail("bob@provider.test")
        for local in ("abuse", "postmaster", "feedback-team"):
            assert client.rcpt(f"{local}@{RETURN_PATHS}")[0] == 550
        assert client.rcpt(f"Feedback@{RETURN_PATHS.upper()}")[0] == 250


class TestOperators:
    @pytest.fixture(scope="class")
    def token(self, server):
        server.run("operator", "create", "--email", "ann@operators.test")
        return server.run("operator", "token", "ann@operators.test").stdout.strip()

    @staticmethod
    def post(server, token: str, *items: dict):
        return requests.post(f"http://127.0.0.1:{server.api}/operator/spam-reports", json={"reports": items},
                             headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def test_r26_a_list_is_answered_one_by_one(self, server, account, sender, peer, token):
        first_id, first_to, first = delivered(server, account, sender, peer, "one")
        second_id, second_to, _ = delivered(server, account, sender, peer, "two")
        named = {"env_id": second_id, "recipient": second_to.upper(), "type": "fraud", "note": "postmaster tool"}
        answer = self.post(server, token, {"token": token_of(first)}, {"token": first.mail_from}, named, named,
                           {"token": "b-x-y"}, {"env_id": second_id, "recipient": second_to},
                           {**named, "recipient": "nobody@peer.test"})
        assert answer.status_code == 200
        assert [result["outcome"] for result in answer.json()["results"]] == [
            "counted", "repeated", "counted", "repeated", "not_ours", "malformed", "not_found"]
        assert {(row["message_id"], row["recipient"], row["source"], row["reporter"])
                for row in reports(server, account)} == {
            (first_id, first_to, "operator", "operator ann@operators.test"),
            (second_id, second_to, "operator", "operator ann@operators.test")}
        audit = server.run("audit", "list", "--account", account.account_id).stdout
        assert audit.count("report-spam") == 2 and "postmaster tool" in audit

    def test_only_operators_may(self, server, account, sender, peer, token):
        _, _, received = delivered(server, account, sender, peer, "three")
        for wrong in ("", "x", token[:-1] + ("0" if token[-1] != "0" else "1"), token_of(received)):
            assert self.post(server, wrong, {"token": token_of(received)}).status_code == 401
        assert reports(server, account) == []

    def test_the_command_line(self, server, account, sender, peer):
        env_id, to, _ = delivered(server, account, sender, peer, "four")
        first = server.run("report", "spam", env_id, to, "--type", "virus", "--note", "by letter").stdout
        again = server.run("report", "spam", env_id, to, "--note", "by letter").stdout
        assert "counted" in first and "reported before" in again
        missing = server.run("report", "spam", env_id, "nobody@peer.test", "--note", "by letter", expect=1)
        assert "none of it went to" in missing.stderr
        server.run("report", "spam", env_id, to, expect=2)
        server.run("report", "spam", env_id, to, "--type", "not-spam", "--note", "x", expect=2)
        assert [row["type"] for row in reports(server, account)] == ["virus"]
        assert "report-spam" in server.run("audit", "list", "--account", account.account_id).stdout
