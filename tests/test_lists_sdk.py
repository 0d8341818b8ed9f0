"""Suppression, block lists and IP protection through the official SDK, on both engines."""

import re
import smtplib
import time

import pytest

from harness.sdk import ClientException, dm
from harness.submission import connect, message, ready_session
from harness.waiting import wait_until

pytestmark = pytest.mark.sdk

HOME, AWAY = "127.0.0.0/8", "203.0.113.7"


def refused(call, code: str) -> ClientException:
    with pytest.raises(ClientException) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    return caught.value


def suppress(account, address: str) -> str:
    return account.sdk.dm.create_user_suppression(dm.CreateUserSuppressionRequest(address=address)).body.suppression_id


def suppressions(account, **query):
    return account.sdk.dm.list_user_suppression(dm.ListUserSuppressionRequest(**query)).body


def block_by_report(server, account, sender, to: str) -> str:
    """A mail that is accepted and then reported as spam by its recipient; the operator enters the report."""
    env_id = account.sdk.send(sender.address, to)
    server.run("report", "spam", env_id, to, "--type", "abuse", "--note", "complaint by telephone")
    return env_id


def test_r03_suppressed_addresses_and_domains_are_refused_uncharged(server, account, sender, peer):
    gone, domain = f"gone-{account.tag}@peer.test", f"d{account.tag[-10:]}.example"
    began = int(time.time())
    address_id, domain_id = suppress(account, gone), suppress(account, domain)
    assert address_id.isdigit() and domain_id.isdigit() and suppress(account, gone.upper()) == address_id

    listed = suppressions(account, page_no=1, page_size=10)
    assert (listed.total_count, listed.page_number, listed.page_size) == (2, 1, 10)
    by_address = {row.address: row for row in listed.data.user_suppressions}
    assert set(by_address) == {gone, domain}
    row = by_address[gone]
    assert (row.suppression_id, row.type, row.last_bounce_time) == (int(address_id), "user", None)
    assert began - 5 <= row.create_time <= time.time() + 5
    assert suppressions(account, address=domain).total_count == 1
    assert suppressions(account, start_create_time=began - 60, end_create_time=began + 60).total_count == 2
    refused(lambda: suppressions(account, start_create_time=0, end_create_time=8 * 86400), "InvalidParameter")

    before = account.sdk.summary()
    error = refused(lambda: account.sdk.send(sender.address, f"{gone},someone@{domain}"), "InvalidToAddress.Spam")
    assert "2 on your suppression list" in error.message
    here = f"here-{account.tag}@peer.test"
    account.sdk.send(sender.address, f"{gone},{here}")
    peer.wait_for(here)
    after = account.sdk.summary()
    assert after.remain_free_quota == before.remain_free_quota - 1, "the refused one costs nothing"
    detail = account.sdk.sending_details(gone)[0]
    assert (detail.status, detail.error_classification) == (2, "SysIncomingInvRcpt")
    assert "RemoveUserSuppression" in detail.message
    hit = suppressions(account, start_bounce_time=began - 60, end_bounce_time=began + 600)
    assert gone in [row.address for row in hit.data.user_suppressions]

    with connect(server.smtp, sender) as client:
        client.mail(sender.address)
        code, words = client.rcpt(f"someone@{domain}")
        assert code == 563 and b"RemoveUserSuppression" in words, (code, words)

    remove = account.sdk.dm.remove_user_suppression
    refused(lambda: remove(dm.RemoveUserSuppressionRequest(suppression_ids=f"{address_id},999999999")),
            "InvalidSuppressionId.NotFound")
    remove(dm.RemoveUserSuppressionRequest(suppression_ids=f"{address_id},{domain_id}"))
    assert suppressions(account).total_count == 0
    account.sdk.send(sender.address, gone)
    peer.wait_for(gone)
    server.verify_ledger()


def test_an_address_that_bounced_is_an_entry_of_the_system(server, account, sender, peer):
    to = f"nobody-{account.tag}@peer.test"
    suppress(account, "noise.example")
    account.sdk.send(sender.address, to)
    server.wait_outcome(account, to, status=2)
    row = suppressions(account, address=to).data.user_suppressions[0]
    assert row.type == "system" and row.last_bounce_time >= row.create_time > 0
    found = account.sdk.dm.query_invalid_address(dm.QueryInvalidAddressRequest()).body
    assert [mail.to_address for mail in found.data.mail_detail] == [to], "what the owner entered was found by nobody"
    account.sdk.dm.delete_invalid_address(dm.DeleteInvalidAddressRequest(to_address=to))
    assert suppressions(account, address=to).total_count == 0


def test_the_suppression_level_is_one_of_two(account):
    client = account.sdk.dm

    def level():
        return client.get_suppression_list_level(dm.GetSuppressionListLevelRequest()).body.suppression_list_level

    def set_level(wanted):
        request = dm.SetSuppressionListLevelRequest(suppression_list_level=wanted)
        return client.set_suppression_list_level(request).body.suppression_list_level

    assert level() == "all"
    assert set_level("personal") == level() == "personal"
    error = refused(lambda: set_level("none"), "InvalidParameter")
    assert "'all'" in error.message and "'personal'" in error.message
    assert level() == "personal" and set_level("all") == "all"


def test_r03_who_reported_spam_is_refused_until_the_block_is_lifted(server, account, sender, peer):
    client = account.sdk.dm
    angry = [f"angry{number}-{account.tag}@peer.test" for number in range(3)]
    began = int(time.time())
    for to in angry:
        block_by_report(server, account, sender, to)

    found, token = [], None
    for _ in range(5):
        page = client.list_block_sending(dm.ListBlockSendingRequest(
            block_type="REPORT", sender_email=sender.address, max_results=2, next_token=token)).body
        assert page.max_results == 2
        found += page.data
        token = page.next_token
        if not token:
            break
    assert sorted(row.block_email for row in found) == angry
    assert all(row.sender_email == sender.address and isinstance(row.reason, int) for row in found)
    assert all(began - 5 <= row.send_time <= row.block_time <= time.time() + 5 for row in found)
    one = client.list_block_sending(dm.ListBlockSendingRequest(
        block_type="REPORT", block_email=angry[1].upper(), begin_time=began - 60, end_time=began + 600)).body
    assert [row.block_email for row in one.data] == [angry[1]] and one.next_token == ""
    assert client.list_block_sending(dm.ListBlockSendingRequest(block_type="UNSUB")).body.data == []

    before = account.sdk.summary()
    error = refused(lambda: account.sdk.send(sender.address, ",".join(angry)), "InvalidToAddress.Blocked")
    assert "3 who reported mail of the sender address as spam" in error.message
    here = f"here-{account.tag}@peer.test"
    env_id = account.sdk.send(sender.address, f"{angry[0]},{here}")
    peer.wait_for(here)
    assert account.sdk.summary().remain_free_quota == before.remain_free_quota - 1
    assert "UnblockSending REPORT" in server.message_show(env_id)
    details = [row for row in account.sdk.sending_details(angry[0])
               if row.error_classification == "SysOutRecipientReportedSpam"]
    assert [row.status for row in details] == [4]

    with connect(server.smtp, sender) as smtp:
        smtp.mail(sender.address)
        code, words = smtp.rcpt(angry[0])
        assert code == 550 and b"UnblockSending REPORT" in words, (code, words)

    wanted = dm.UnblockSendingRequest(block_type="REPORT", sender_email=sender.address, block_email=angry[0])
    client.unblock_sending(wanted)
    refused(lambda: client.unblock_sending(wanted), "InvalidBlockEmail.NotFound")
    account.sdk.send(sender.address, angry[0])
    server.verify_ledger()


class TestProtection:
    """Each with an account of its own: protection locks it out."""

    @staticmethod
    def add(account, address: str) -> str:
        return account.sdk.dm.add_ipfilter(dm.AddIpfilterRequest(ip_address=address)).body.ip_filter_id

    @staticmethod
    def switch(account, on: str):
        account.sdk.dm.update_ip_protection(dm.UpdateIpProtectionRequest(ip_protection=on))

    @staticmethod
    def is_on(account) -> str:
        return account.sdk.dm.get_ip_protection(dm.GetIpProtectionRequest()).body.ip_protection

    @staticmethod
    def entries(account):
        return account.sdk.dm.get_ipfilter_list(dm.GetIpfilterListRequest()).body

    def delete(self, account, filter_id: str):
        account.sdk.dm.delete_ipfilter_by_edm_id(dm.DeleteIpfilterByEdmIdRequest(id=filter_id))

    def test_the_list_and_its_limits(self, account):
        refused(lambda: self.switch(account, "1"), "IpProtection.EmptyList")
        assert self.is_on(account) == "0"
        ids = [self.add(account, text) for text in ("192.0.2.1", "192.0.2.5-192.0.2.9", "2001:db8::/32", HOME)]
        listed = self.entries(account)
        assert (listed.total_count, listed.page_number, listed.page_size) == (4, 1, 10)
        rows = listed.data.ipfilters
        assert [row.id for row in rows] == ids
        assert [row.ip_address for row in rows] == ["192.0.2.1", "192.0.2.5-192.0.2.9", "2001:db8::/32", HOME]
        assert all(abs(int(row.create_time) - time.time()) < 60 for row in rows)
        refused(lambda: self.add(account, HOME), "InvalidIP.Exist")
        for text in ("here", "192.0.2.9-192.0.2.5", "192.0.2.0/33", "192.0.2.1-2001:db8::1"):
            refused(lambda text=text: self.add(account, text), "InvalidIP.Malformed")
        for number in range(6):
            self.add(account, f"198.51.100.{number}")
        refused(lambda: self.add(account, "198.51.100.99"), "IpfilterNumber.ExceedLimit")
        refused(lambda: self.delete(account, "999999999"), "InvalidIP.NotFound")
        self.switch(account, "1")
        assert self.is_on(account) == "1", "this machine is listed"
        for row in self.entries(account).data.ipfilters:
            if row.ip_address != HOME:
                self.delete(account, row.id)
        refused(lambda: self.delete(account, ids[3]), "IpProtection.LastEntry")
        self.switch(account, "0")
        self.delete(account, ids[3])
        assert self.entries(account).total_count == 0

    def test_who_is_not_listed_is_locked_out_until_the_operator_opens(self, server, account, sender):
        self.add(account, AWAY)
        with ready_session(server.smtps, sender) as raw:
            self.switch(account, "1")
            error = refused(lambda: self.is_on(account), "Forbidden.IpProtection")
            assert error.status_code == 403 and "127.0.0.1" in error.message
            refused(lambda: self.switch(account, "0"), "Forbidden.IpProtection")
            refused(lambda: account.sdk.send(sender.address, "you@peer.test"), "Forbidden.IpProtection")
            refused(lambda: account.sdk.bss.query_account_balance(), "Forbidden.IpProtection")
            assert raw.say(f"MAIL FROM:<{sender.address}>").startswith("550 5.7.1"), "logged in before"
        with connect(server.smtp) as smtp:
            with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                smtp.login(sender.address, sender.password)
            assert caught.value.smtp_code == 535 and b"IP protection" in caught.value.smtp_error

        shown = server.run_json("account", "protection", account.account_id, "list")
        assert shown["protection"] is True and [entry["addresses"] for entry in shown["addresses"]] == [AWAY]
        assert "IP protection is off" in server.run("account", "protection", account.account_id, "off").stdout
        assert self.is_on(account) == "0", "at once"
        with connect(server.smtp, sender) as smtp:
            smtp.sendmail(sender.address, [f"back-{account.tag}@peer.test"], message(sender.address, "you@peer.test"))

        server.run("account", "protection", account.account_id, "on")
        wait_until(lambda: self._is_refused(account), "another process's switch counts within seconds", timeout_s=8)
        server.run("account", "protection", account.account_id, "off")
        audit = server.run("audit", "list", "--account", account.account_id, "--json").stdout
        assert len(re.findall("set-ip-protection", audit)) == 4 and "api-key" in audit and "command-line" in audit

    def _is_refused(self, account) -> bool:
        try:
            self.is_on(account)
            return False
        except ClientException as error:
            return error.code == "Forbidden.IpProtection"

    def test_the_command_line_keeps_nobody_out_by_mistake(self, server, account):
        done = server.run("account", "protection", account.account_id, "on", expect=1)
        assert "AddIpfilter" in done.stderr
        assert "The list is empty" in server.run("account", "protection", account.account_id).stdout
        server.run("account", "protection", "12345", expect=1)
        server.run("account", "protection", account.account_id, "maybe", expect=2)
