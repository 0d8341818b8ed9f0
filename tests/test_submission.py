"""SMTP submission: logins, limits, extensions, and what is refused."""

import base64
import re
import smtplib

import pytest

from harness.submission import Raw, connect, message, ready_session

pytestmark = pytest.mark.e2e

RECIPIENTS_MAX = 100


def unique(account, name: str) -> str:
    return f"{name}-{account.tag}@peer.test"


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_mail_by_tls_and_auth_plain_arrives(server, account, sender, peer, tls):
    to = unique(account, tls)
    with connect(server.smtps if tls == "implicit" else server.smtp, sender, tls) as client:
        client.sendmail(sender.address, [to], message(sender.address, to, "by " + tls))
    mail = peer.wait_for(to)[0]
    assert mail.message["Subject"] == "by " + tls
    assert account.sdk.summary().remain_free_quota == 1999


def test_auth_login_with_prompts(server, account, sender):
    with Raw(server.smtps, tls=True) as raw:
        raw.say("EHLO client.test")
        assert raw.say("AUTH LOGIN").startswith("334")
        assert raw.say(base64.b64encode(sender.address.encode()).decode()).startswith("334")
        assert raw.say(base64.b64encode(sender.password.encode()).decode()).startswith("235")


def test_auth_by_the_domains_password(server, account, sender, peer):
    from harness.sdk import dm
    account.sdk.dm.modify_pwby_domain(dm.ModifyPWByDomainRequest(domain_name=sender.domain, password="Open83Meadow"))
    to = unique(account, "domainpw")
    with connect(server.smtps, tls="implicit") as client:
        client.login(sender.domain, "Open83Meadow")
        client.sendmail(sender.address, [to], message(sender.address, to))
    peer.wait_for(to)


def test_offered_extensions(server):
    with Raw(server.smtp) as raw:
        offered = raw.say("EHLO client.test").upper()
        for keyword in ("STARTTLS", "SIZE", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"):
            assert keyword in offered, keyword
        raw.starttls()
        offered = raw.say("EHLO client.test").upper()
        assert re.search(r"AUTH[ =].*PLAIN", offered) and re.search(r"AUTH[ =].*LOGIN", offered)
        assert "STARTTLS" not in offered


@pytest.mark.parametrize("user,password", [
    (None, "Wrong47Harbor"), (None, ""), ("nobody@nowhere.test", "Quiet47Harbor"), ("", ""), ("x\r\ny", "p")])
def test_a_wrong_login_is_535(server, account, sender, user, password):
    with Raw(server.smtps, tls=True) as raw:
        raw.say("EHLO client.test")
        assert raw.auth_plain(sender.address if user is None else user, password).startswith("5")
        assert raw.say(f"MAIL FROM:<{sender.address}>").startswith(("530", "503", "535"))


def test_repeated_wrong_logins_are_throttled_and_the_right_one_works_elsewhere(server, account, sender):
    answers = []
    for _ in range(12):
        with Raw(server.smtps, tls=True, source="127.0.7.7") as raw:
            raw.say("EHLO client.test")
            answers.append(raw.auth_plain(sender.address, "Wrong47Harbor")[:3])
    assert answers[0] == "535"
    assert answers[-1] in ("421", "454", "535", "")
    with ready_session(server.smtps, sender):
        pass


def test_malformed_auth_is_refused(server):
    with Raw(server.smtps, tls=True) as raw:
        raw.say("EHLO client.test")
        assert raw.say("AUTH PLAIN !!!notbase64").startswith("5")
        assert raw.say("AUTH CRAM-MD5").startswith("504")
        assert raw.say("AUTH").startswith("501")
        assert raw.say("AUTH LOGIN").startswith("334")
        assert raw.say("*").startswith("501")


def test_no_mail_without_a_login(server, sender):
    with Raw(server.smtps, tls=True) as raw:
        raw.say("EHLO client.test")
        assert raw.say(f"MAIL FROM:<{sender.address}>").startswith("530")


def test_mail_from_other_than_the_login_is_436(server, account, sender):
    with ready_session(server.smtps, sender) as raw:
        for other in ("someone@else.test", f"other@{sender.domain}"):
            assert raw.say(f"MAIL FROM:<{other}>").startswith("436")
        assert raw.say(f"MAIL FROM:<{sender.address}>").startswith("250")


def test_a_from_header_of_someone_else_is_refused(server, account, sender, peer):
    to = unique(account, "forged")
    with connect(server.smtps, sender, "implicit") as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(sender.address, [to], message("ceo@bank.test", to))
    assert 500 <= refused.value.smtp_code < 600
    assert account.sdk.summary().remain_free_quota == 2000


def test_more_than_a_hundred_recipients_is_556(server, account, sender):
    with ready_session(server.smtps, sender) as raw:
        raw.say(f"MAIL FROM:<{sender.address}>")
        for number in range(RECIPIENTS_MAX):
            assert raw.say(f"RCPT TO:<r{number}@peer.test>").startswith("250")
        assert raw.say("RCPT TO:<onetoomany@peer.test>").startswith("556")
        raw.say("RSET")
    assert account.sdk.summary().remain_free_quota == 2000


def test_too_large_is_557_declared_or_not(server, account, sender):
    with ready_session(server.smtps, sender) as raw:
        offered = int(re.search(r"SIZE (\d+)", raw.say("EHLO client.test"))[1])
        assert raw.say(f"MAIL FROM:<{sender.address}> SIZE={offered + 1}").startswith(("552", "557"))
        raw.say(f"MAIL FROM:<{sender.address}>")
        raw.say("RCPT TO:<big@peer.test>")
        assert raw.say("DATA").startswith("354")
        raw.send(message(sender.address, "big@peer.test", body=("x" * 76 + "\r\n") * (offered // 78 + 10)) + b".\r\n")
        assert raw.reply().startswith("557")
        assert raw.say("NOOP").startswith("250")
    assert account.sdk.summary().remain_free_quota == 2000


SMUGGLING_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
                  b"\r\n\x00.\r\n", b"\r\r\n.\r\r\n"]


@pytest.mark.parametrize("end", SMUGGLING_ENDS, ids=lambda e: e.hex())
def test_no_second_mail_is_smuggled_through(server, account, sender, peer, end):
    first, second = unique(account, "outer"), unique(account, "smuggled")
    inner = (f"MAIL FROM:<{sender.address}>\r\nRCPT TO:<{second}>\r\nDATA\r\n".encode()
             + message(sender.address, second, "smuggled"))
    with ready_session(server.smtps, sender) as raw:
        raw.say(f"MAIL FROM:<{sender.address}>")
        raw.say(f"RCPT TO:<{first}>")
        assert raw.say("DATA").startswith("354")
        raw.send(message(sender.address, first) + b"last" + end + inner + b"\r\n.\r\n")
        answer = raw.reply()
        assert raw.say("NOOP").startswith("250"), "one reply to one message, and the dialogue goes on"
    if not answer.startswith("250"):
        assert answer.startswith("5")
        assert account.sdk.summary().remain_free_quota == 2000
    else:
        assert end == b"\r\n\x00.\r\n", "only a line that is no dot line may be taken as text"
        peer.wait_for(first)
    assert not peer.to(second)


def test_bare_line_feed_in_a_command_is_refused(server, sender):
    with ready_session(server.smtps, sender) as raw:
        raw.send(b"NOOP\nNOOP\r\n")
        assert raw.reply().startswith("5")
        assert raw.say("NOOP").startswith(("250", "221", "421")) or raw.closed, "one reply to one line"


def test_commands_sent_before_tls_are_not_executed_after_it(server):
    with Raw(server.smtp) as raw:
        raw.say("EHLO client.test")
        raw.send(b"STARTTLS\r\nEHLO injected.test\r\n")
        answer = raw.reply()
        if answer.startswith("220"):
            from harness.tls import trusting_context
            try:
                raw._socket = trusting_context().wrap_socket(raw._socket)
                raw._socket.settimeout(1)
                assert not raw._socket.recv(100), "an answer to an injected command"
            except (OSError, TimeoutError):
                pass
        else:
            assert answer.startswith(("5", "4"))


def test_pipelining_answers_each_command_in_order(server, account, sender, peer):
    good, bad = unique(account, "pipe"), "not an address"
    with ready_session(server.smtps, sender) as raw:
        raw.send(f"MAIL FROM:<{sender.address}>\r\nRCPT TO:<{bad}>\r\nRCPT TO:<{good}>\r\nDATA\r\n".encode())
        answers = [raw.reply()[:3] for _ in range(4)]
        assert answers[0] == "250" and answers[1][0] == "5" and answers[2:] == ["250", "354"]
        raw.send(message(sender.address, good) + b".\r\nQUIT\r\n")
        assert raw.reply().startswith("250") and raw.reply().startswith("221")
    peer.wait_for(good)


def test_bdat_in_two_chunks(server, account, sender, peer):
    to = unique(account, "bdat")
    content = message(sender.address, to, "chunks", "one\r\n.\r\ntwo")
    with ready_session(server.smtps, sender) as raw:
        raw.say(f"MAIL FROM:<{sender.address}>")
        raw.say(f"RCPT TO:<{to}>")
        raw.send(f"BDAT 20\r\n".encode() + content[:20])
        assert raw.reply().startswith("250")
        raw.send(f"BDAT {len(content) - 20} LAST\r\n".encode() + content[20:])
        assert raw.reply().startswith("250")
    assert b"\r\none\r\n.\r\ntwo" in peer.wait_for(to)[0].content


def test_leading_dots_survive(server, account, sender, peer):
    to = unique(account, "dots")
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, [to], message(sender.address, to, body=".\r\n..\r\n.x"))
    assert b"\r\n.\r\n..\r\n.x\r\n" in peer.wait_for(to)[0].content


def test_smtputf8_recipient(server, account, sender, peer):
    to = f"grün{account.tag}@peer.test"
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, [to], message(sender.address, to, "Grüße"), mail_options=["SMTPUTF8"])
    assert peer.wait_for(to)[0].message["Subject"] == "Grüße"


def test_eight_bit_body_arrives_unchanged(server, account, sender, peer):
    to = unique(account, "eight")
    extra = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, [to], message(sender.address, to, body="Füße 世界", extra=extra),
                        mail_options=["BODY=8BITMIME"])
    assert "Füße 世界".encode() in peer.wait_for(to)[0].content


@pytest.mark.parametrize("line,codes", [
    ("MAIL FROM:someone", "5"), ("RCPT TO:<a@b.test>", "503"), ("DATA", "503"), ("FROBNICATE", "50"),
    ("MAIL FROM:<a@b.test> FOO=BAR", "5"), ("X" * 5000, "500")])
def test_bad_commands_are_refused_and_the_session_goes_on(server, sender, line, codes):
    with ready_session(server.smtps, sender) as raw:
        assert raw.say(line).startswith(codes)
        assert raw.say("NOOP").startswith("250")


@pytest.mark.parametrize("line", ["BDAT x", "BDAT 5 FIRST", "BDAT -1", "BDAT 99999999999999999999"])
def test_a_chunk_of_unknown_length_ends_the_session(server, account, sender, line):
    """What follows cannot be told from commands, so that nothing after it may be executed."""
    with ready_session(server.smtps, sender) as raw:
        raw.send(f"{line}\r\nMAIL FROM:<{sender.address}>\r\n".encode())
        assert raw.reply().startswith("5")
        assert not raw.reply().startswith("250")


def test_header_section_without_from_is_refused(server, account, sender):
    with connect(server.smtps, sender, "implicit") as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(sender.address, ["x@peer.test"], b"Subject: no author\r\n\r\nBody\r\n")
    assert account.sdk.summary().remain_free_quota == 2000


def test_missing_date_and_message_id_are_added_and_bcc_removed(server, account, sender, peer):
    to = unique(account, "headers")
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, [to], message(sender.address, to, extra="Bcc: secret@peer.test\r\n"))
    mail = peer.wait_for(to)[0].message
    assert mail["Date"] and mail["Message-ID"] and mail["Bcc"] is None


def test_r26_same_idempotency_key_same_content_is_one_mail(server, account, sender, peer):
    to = unique(account, "once")
    content = message(sender.address, to, extra=f"X-Indicia-Idempotency-Key: k-{account.tag}\r\n"
                      "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <fixed@sender.test>\r\n")
    with connect(server.smtps, sender, "implicit") as client:
        for _ in range(3):
            client.sendmail(sender.address, [to], content)
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(sender.address, [to], content.replace(b"Body", b"Other"))
    received = peer.wait_for(to)
    assert account.sdk.summary().remain_free_quota == 1999
    assert len(received) == 1 and received[0].message["X-Indicia-Idempotency-Key"] is None


def test_r17_over_quota_is_552_and_nothing_is_taken(server, account, sender):
    server.set_quota(account, 3)
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, ["q1@peer.test", "q2@peer.test"], message(sender.address, "q1@peer.test"))
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused)) as refused:
            client.sendmail(sender.address, ["q3@peer.test", "q4@peer.test"], message(sender.address, "q3@peer.test"))
    assert "552" in str(refused.value)
    assert account.sdk.summary().remain_free_quota == 1998


def test_trusted_relay_needs_no_login(make_server, dns, peer, mx_port):
    server = make_server(dns.address, delivery={"port": mx_port}).start()
    account = server.create_account("Relay")
    sender = server.create_sender(account, "relay.test")
    server.stop()
    server.config["submission"]["trusted"] = [{"network": "127.0.9.0/24", "account_id": account.account_id}]
    server.write_config()
    server.start()
    to = unique(account, "trusted")
    with Raw(server.smtp, source="127.0.9.1") as raw:
        raw.say("EHLO relay.test")
        assert raw.say(f"MAIL FROM:<{sender.address}>").startswith("250")
        assert raw.say(f"RCPT TO:<{to}>").startswith("250")
        raw.say("DATA")
        raw.send(message(sender.address, to) + b".\r\n")
        assert raw.reply().startswith("250")
    peer.wait_for(to)
    with Raw(server.smtp, source="127.0.10.1") as raw:
        raw.say("EHLO outside.test")
        assert raw.say(f"MAIL FROM:<{sender.address}>").startswith("530")
    server.stop()
