"""Delivery against real peers: retries, refusals, routing through DNS, TLS, and a stop that loses nothing."""

import time

import pytest

from harness import dkim_check
from harness.dns import full_name
from harness.peers import Peer
from harness.postfix import PostfixPeer, installed as postfix_installed
from harness.sdk import ClientException, dm
from harness.submission import connect, message
from harness.tls import self_signed, server_context

pytestmark = pytest.mark.e2e


def unique(account, name: str, domain: str = "peer.test") -> str:
    return f"{name}-{account.tag}@{domain}"


def test_a_greylisted_mail_is_tried_again_and_delivered(server, account, sender, peer):
    to = unique(account, "grey")
    env_id = account.sdk.send(sender.address, to)
    peer.wait_for(to)
    server.wait_outcome(account, to, status=0)
    assert peer.rcpt_attempts[to] == 2
    shown = server.message_show(env_id)
    assert "451" in shown and "Greylisted" in shown and "250" in shown


def test_an_unknown_user_enters_the_library_and_is_refused_uncharged(server, account, sender, peer):
    to = unique(account, "nobody")
    account.sdk.send(sender.address, to)
    line = server.wait_outcome(account, to, status=2)
    assert line.error_classification == "SmtpNxBox" and "User unknown" in line.message
    assert peer.rcpt_attempts[to] == 1
    listed = account.sdk.dm.query_invalid_address(dm.QueryInvalidAddressRequest(length=100)).body.data.mail_detail
    assert [row.to_address for row in listed] == [to]
    before = account.sdk.summary().remain_free_quota
    with pytest.raises(ClientException) as refused:
        account.sdk.send(sender.address, to)
    assert refused.value.code == "InvalidToAddress.Spam"
    with connect(server.smtps, sender, "implicit") as client:
        good = unique(account, "good")
        bounced = client.sendmail(sender.address, [to, good], message(sender.address, good))
    assert bounced[to][0] in (559, 563)
    assert account.sdk.summary().remain_free_quota == before - 1
    account.sdk.dm.delete_invalid_address(dm.DeleteInvalidAddressRequest(to_address=to))
    account.sdk.send(sender.address, to)


def test_r02_a_spam_rejection_is_final_and_charged(server, account, sender, peer):
    to = unique(account, "spam")
    account.sdk.send(sender.address, to)
    server.wait_outcome(account, to, status=3)
    assert account.sdk.summary().remain_free_quota == 1999
    account.sdk.send(sender.address, to)


def test_one_recipient_of_many_fails_alone(server, account, sender, peer):
    names = [unique(account, name) for name in ("ok1", "nobody", "ok2", "grey")]
    account.sdk.send(sender.address, ",".join(names))
    for to, status in zip(names, (0, 2, 0, 0)):
        server.wait_outcome(account, to, status)
    assert all(len(peer.to(to)) == (0 if "nobody" in to else 1) for to in names)


def test_a_connection_cut_after_the_final_dot_is_tried_again(server, account, sender, peer):
    to = unique(account, "drop")
    account.sdk.send(sender.address, to)
    peer.wait_for(to)
    server.wait_outcome(account, to, status=0)


def test_null_mx_and_unknown_domain_fail_at_once(server, account, sender, dns):
    dns.add_null_mx("nomail.test")
    dns.restart()
    for domain in ("nomail.test", "no-such-domain.test"):
        to = unique(account, "x", domain)
        account.sdk.send(sender.address, to)
        deadline = time.monotonic() + 20
        while not (lines := account.sdk.sending_details(to)) or lines[0].status is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert lines[0].status in (2, 4)


def test_mx_preference_falls_back_to_the_next_host(server, account, sender, dns, mx_port):
    dns.add_mx("pref.test", "dead.pref.test", 5)
    dns.add_mx("pref.test", "second.pref.test", 20)
    dns.add_mx("pref.test", "first.pref.test", 10)
    dns.add_host("dead.pref.test", "127.0.20.9")
    dns.add_host("first.pref.test", "127.0.20.1")
    dns.add_host("second.pref.test", "127.0.20.2")
    dns.restart()
    first, second = Peer(mx_port, "127.0.20.1"), Peer(mx_port, "127.0.20.2")
    try:
        to = unique(account, "pref", "pref.test")
        account.sdk.send(sender.address, to)
        first.wait_for(to)
        assert not second.to(to)
        first.stop()
        to = unique(account, "fallback", "pref.test")
        account.sdk.send(sender.address, to)
        second.wait_for(to, timeout_s=30)
    finally:
        second.stop()


def test_implicit_mx_and_ipv6(server, account, sender, dns, mx_port):
    dns.add_host("implicit.test", "127.0.21.1")
    dns.add_host("six.test", "::1")
    dns.restart()
    four, six = Peer(mx_port, "127.0.21.1"), Peer(mx_port, "::1")
    try:
        for peer_, domain in ((four, "implicit.test"), (six, "six.test")):
            to = unique(account, "addr", domain)
            account.sdk.send(sender.address, to)
            peer_.wait_for(to)
    finally:
        four.stop()
        six.stop()


def test_a_dead_or_silent_destination_holds_up_no_other(server, account, sender, peer, dns):
    import socket
    dns.add_mx("silent.test", "mx.silent.test")
    dns.add_host("mx.silent.test", "127.0.22.1")
    dns.add_mx("dead.test", "mx.dead.test")
    dns.add_host("mx.dead.test", "127.0.22.2")
    dns.add_unanswered("nodns.test")
    dns.restart()
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    silent.bind(("127.0.22.1", server.config["delivery"]["port"]))
    silent.listen(200)
    try:
        for number in range(60):
            account.sdk.send(sender.address, ",".join(
                f"s{number}@{domain}" for domain in ("silent.test", "dead.test", "nodns.test")))
        start = time.monotonic()
        for number in range(10):
            to = unique(account, f"alive{number}")
            account.sdk.send(sender.address, to)
            peer.wait_for(to, timeout_s=10)
        assert time.monotonic() - start < 15
    finally:
        silent.close()


def test_starttls_is_used_when_offered_with_any_certificate(server, account, sender, dns, mx_port):
    dns.add_mx("tls.test", "mx.tls.test")
    dns.add_host("mx.tls.test", "127.0.23.1")
    dns.restart()
    peer = Peer(mx_port, "127.0.23.1", tls_context=server_context("somewhere.else"))
    try:
        to = unique(account, "tls", "tls.test")
        env_id = account.sdk.send(sender.address, to)
        assert peer.wait_for(to)[0].tls
        server.wait_outcome(account, to, status=0)
        assert "tls" in server.message_show(env_id).lower()
    finally:
        peer.stop()


def test_a_route_overrides_the_mx(make_server, dns, mx_port):
    peer = Peer(mx_port, "127.0.24.1")
    server = make_server(dns.address, delivery={"route": [
        {"domain": "routed.test", "host": "127.0.24.1", "port": mx_port}]}).start()
    try:
        account = server.create_account("Route")
        sender = server.create_sender(account, "route-sender.test")
        to = unique(account, "r", "routed.test")
        account.sdk.send(sender.address, to)
        peer.wait_for(to)
    finally:
        server.stop()
        peer.stop()


@pytest.mark.skipif(not postfix_installed(), reason="Debian's postfix is not installed; cargo xtask test installs it")
def test_postfix_receives_signed_mails_over_tls(server, account, sender, dns, mx_port, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    peer = PostfixPeer("127.0.25.1", mx_port, "postfix.test", self_signed("mx.postfix.test", folder))
    dns.add_mx("postfix.test", "mx.postfix.test")
    dns.add_host("mx.postfix.test", "127.0.25.1")
    shown = account.sdk.dm.desc_domain(dm.DescDomainRequest(domain_id=int(sender.domain_id))).body
    dns.add_txt(full_name(shown.dkim_rr, shown.tl_domain_name), shown.dkim_public_key)
    dns.restart()
    count = 30
    try:
        for number in range(count):
            account.sdk.send(sender.address, unique(account, f"p{number}", "postfix.test"), text=f"line\n.dot {number}")
        for number in range(count):
            server.wait_outcome(account, unique(account, f"p{number}", "postfix.test"), status=0)
        deadline = time.monotonic() + 10
        while len(stored := peer.delivered()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(stored) == count, peer.log()
        for content in stored:
            assert b"using TLS" in content.split(b"\n\n", 1)[0]
            signed = b"DKIM-Signature" + content.split(b"DKIM-Signature", 1)[1]
            assert dkim_check.verify(signed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), dns), content.decode()
    finally:
        peer.stop()


def test_connections_are_reused(server, account, sender, dns, mx_port):
    dns.add_host("reuse.test", "127.0.26.1")
    dns.restart()
    peer = Peer(mx_port, "127.0.26.1")
    try:
        with connect(server.smtps, sender, "implicit") as client:
            for number in range(60):
                to = unique(account, f"n{number}", "reuse.test")
                client.sendmail(sender.address, [to], message(sender.address, to))
        for number in range(60):
            peer.wait_for(unique(account, f"n{number}", "reuse.test"))
        assert peer.connections["opened"] < 30
    finally:
        peer.stop()


def test_a_graceful_stop_loses_and_doubles_nothing(make_server, dns, peer, mx_port):
    server = make_server(dns.address, delivery={"port": mx_port, "retry_pauses_seconds": [1]}).start()
    account = server.create_account("Stop")
    sender = server.create_sender(account, "stop.test")
    sent = []
    for round_ in range(3):
        with connect(server.smtps, sender, "implicit") as client:
            for number in range(60):
                to = unique(account, f"stop{round_}x{number}")
                client.sendmail(sender.address, [to], message(sender.address, to))
                sent.append(to)
        assert server.stop() == 0
        server.start()
    for to in sent:
        peer.wait_for(to, timeout_s=60)
    assert all(len(peer.to(to)) == 1 for to in sent)
    server.verify_ledger()
    server.stop()
