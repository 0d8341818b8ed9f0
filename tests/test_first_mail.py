"""The main job, as a new customer lives it: account, domain in DNS, sender, SDK call, signed mail at the MX."""

import itertools

import pytest

from harness import dkim_check
from harness.dns import full_name
from harness.sdk import dm
from harness.waiting import wait_until

pytestmark = pytest.mark.sdk


@pytest.fixture
def verified(server, account, dns):
    """A domain whose DNS records were set as DescDomain asked for, checked by CheckDomain itself."""
    domain = f"first{account.tag[-10:]}.test"
    client = account.sdk.dm
    domain_id = client.create_domain(dm.CreateDomainRequest(domain_name=domain)).body.domain_id
    shown = client.desc_domain(dm.DescDomainRequest(domain_id=int(domain_id))).body

    def host(record: str) -> str:
        return full_name(record, shown.tl_domain_name)

    assert client.check_domain(dm.CheckDomainRequest(domain_id=int(domain_id))).body.domain_status == 1
    dns.add_txt(host(shown.host_record), shown.domain_type)
    dns.add_txt(domain, shown.spf_record_v2)
    dns.add_txt(host(shown.dkim_rr), shown.dkim_public_key)
    dns.add_txt(host(shown.dmarc_host_record), shown.dmarc_record)
    dns.add_mx(domain, shown.mx_record)
    dns.restart()
    assert client.check_domain(dm.CheckDomainRequest(domain_id=int(domain_id))).body.domain_status == 0
    return domain, domain_id, shown


def test_a_mail_is_accepted_paid_delivered_and_seen(server, account, verified, peer, dns):
    domain, domain_id, shown = verified
    client = account.sdk.dm
    sender = f"noreply@{domain}"
    client.create_mail_address(dm.CreateMailAddressRequest(account_name=sender, sendtype="trigger"))
    before = account.sdk.summary()
    to = f"first-{account.tag}@peer.test"

    env_id = account.sdk.send(
        sender, to, subject="Grüße, 世界", text=None, html_body="<p>Hello <b>there</b></p>", from_alias="Acme News",
        reply_address="answers@elsewhere.test")

    mail = peer.wait_for(to)[0]
    assert mail.env_id == env_id and env_id.isdigit()
    assert mail.rcpt_tos == [to]
    assert mail.message["Subject"] == "Grüße, 世界"
    assert mail.message["From"].addresses[0].addr_spec == sender
    assert mail.message["From"].addresses[0].display_name == "Acme News"
    assert "answers@elsewhere.test" in mail.message["Reply-To"]
    assert mail.message["Message-ID"] and mail.message["Date"]
    assert "Hello <b>there</b>" in mail.message.get_body(("html",)).get_content()
    assert dkim_check.verify(mail.content, dns)
    tags = dkim_check.tags(mail.content)
    assert tags["d"] == domain and tags["a"] == "rsa-sha256"
    assert sender not in mail.mail_from and mail.mail_from.count("@") == 1

    line = server.wait_outcome(account, to, status=0)
    assert line.account_name == sender and line.error_classification == "SendOk"
    after = account.sdk.summary()
    assert after.remain_free_quota == before.remain_free_quota - 1
    assert after.daily_remain_free_quota == before.daily_remain_free_quota - 1
    assert env_id in server.message_show(env_id) and to in server.message_show(env_id)
    server.verify_ledger()


def test_return_path_differs_for_each_recipient_and_signature_breaks_with_the_body(
        server, account, sender, peer, dns):
    addresses = [f"verp-{name}-{account.tag}@peer.test" for name in "ab"]
    env_id = account.sdk.send(sender.address, ",".join(addresses))
    mine = [mail for to in addresses for mail in peer.wait_for(to)]
    assert {mail.env_id for mail in mine} == {env_id}
    assert len(mine) == 2 and len({m.mail_from for m in mine}) == 2
    shown = account.sdk.dm.desc_domain(dm.DescDomainRequest(domain_id=int(sender.domain_id))).body
    dns.add_txt(full_name(shown.dkim_rr, shown.tl_domain_name), shown.dkim_public_key)
    dns.restart()
    assert dkim_check.verify(mine[0].content, dns)
    assert not dkim_check.verify(mine[0].content.replace(b"Body", b"Evil"), dns)


def test_a_rotated_dkim_key_signs_once_dns_shows_it(server, account, sender, peer, dns):
    client = account.sdk.dm
    wanted = dm.DescDomainRequest(domain_id=int(sender.domain_id))
    before = client.desc_domain(wanted).body
    dns.add_txt(full_name(before.dkim_rr, before.tl_domain_name), before.dkim_public_key)
    dns.restart()
    changed = client.change_domain_dkim_record(
        dm.ChangeDomainDkimRecordRequest(domain=sender.domain, dkim_rsa_length=2048)).body
    assert changed.changed is True and changed.dkim_rsa_length == 2048
    after = client.desc_domain(wanted).body
    assert after.dkim_public_key == changed.dkim_public_key != before.dkim_public_key
    assert after.dkim_rr != before.dkim_rr, "the old key stays in DNS for mails that are on their way"

    def selector_of_a_new_mail(name: str) -> str:
        to = f"{name}-{account.tag}@peer.test"
        account.sdk.send(sender.address, to)
        content = peer.wait_for(to)[0].content
        assert dkim_check.verify(content, dns)
        return dkim_check.tags(content)["s"]

    assert before.dkim_rr.startswith(selector_of_a_new_mail("unpublished") + ".")
    dns.add_txt(full_name(after.dkim_rr, after.tl_domain_name), after.dkim_public_key)
    dns.restart()
    client.check_domain(dm.CheckDomainRequest(domain_id=int(sender.domain_id)))
    numbers = itertools.count()
    wait_until(lambda: after.dkim_rr.startswith(selector_of_a_new_mail(f"published{next(numbers)}") + "."),
               "the new key signs", timeout_s=90, pause_s=2)


def test_several_recipients_see_no_bcc(server, account, sender, peer):
    tag = account.tag
    to, bcc = [f"to{i}-{tag}@peer.test" for i in range(3)], f"bcc-{tag}@peer.test"
    account.sdk.send(sender.address, ",".join(to), bcc_address=bcc)
    for address in (*to, bcc):
        mail = peer.wait_for(address)[0]
        assert bcc not in mail.content.decode() and "bcc:" not in mail.content.decode().lower()
    assert account.sdk.summary().remain_free_quota == 2000 - 4


def test_r01_the_same_address_twice_counts_once(server, account, sender, peer):
    to = f"twice-{account.tag}@peer.test"
    account.sdk.send(sender.address, f"{to},{to}")
    peer.wait_for(to)
    assert account.sdk.summary().remain_free_quota == 1999
    assert len(peer.to(to)) == 1
