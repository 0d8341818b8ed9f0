"""What the API refuses, how it says so, and that nothing is written when it does."""

import datetime
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness.sdk import ClientException, ThrottlingException, bss, dm
from harness.signing import Request

pytestmark = pytest.mark.sdk

MINUTES_TOLERATED = 15


def endpoint(server) -> str:
    return f"127.0.0.1:{server.api}"


def call(server, account, action: str, **more) -> requests.Response:
    return Request(endpoint(server), account.key_id, account.secret, action, **more).send()


def refusal(response: requests.Response, status: int, *codes: str) -> dict:
    body = response.json()
    assert response.status_code == status, body
    assert not codes or body["Code"] in codes, body
    assert body["RequestId"] and body["HostId"] and body["Message"] and "Recommend" in body
    return body


def test_a_call_signed_by_hand_works(server, account):
    answer = call(server, account, "DescAccountSummary")
    assert answer.status_code == 200 and answer.json()["DailyQuota"] == 2000


def test_get_with_parameters_in_the_query(server, account):
    answer = call(server, account, "QueryDomainByParam", method="GET", query={"PageSize": "7"})
    assert answer.status_code == 200 and answer.json()["PageSize"] == 7


def test_parameters_in_the_form_count_as_well(server, account):
    answer = call(server, account, "QueryDomainByParam", form={"PageSize": "7"})
    assert answer.status_code == 200 and answer.json()["PageSize"] == 7


# Signature and protocol


@pytest.mark.parametrize("minutes", [-MINUTES_TOLERATED - 2, MINUTES_TOLERATED + 2, -60 * 24])
def test_a_stale_date_is_refused(server, account, minutes):
    date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    refusal(call(server, account, "DescAccountSummary", date=date), 400, "InvalidTimeStamp.Expired")


@pytest.mark.parametrize("minutes", [-MINUTES_TOLERATED + 2, MINUTES_TOLERATED - 2])
def test_a_clock_a_little_off_is_tolerated(server, account, minutes):
    date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    assert call(server, account, "DescAccountSummary", date=date).status_code == 200


def test_a_replayed_nonce_is_refused(server, account):
    request = Request(endpoint(server), account.key_id, account.secret, "DescAccountSummary")
    assert request.send().status_code == 200
    refusal(request.send(), 400, "SignatureNonceUsed")


def test_a_wrong_secret_is_refused(server, account):
    answer = Request(endpoint(server), account.key_id, "not-the-secret", "DescAccountSummary").send()
    assert refusal(answer, answer.status_code, "SignatureDoesNotMatch")
    assert answer.status_code in (400, 403)


def test_an_unknown_key_is_refused(server, account):
    answer = Request(endpoint(server), "AKUNKNOWN", account.secret, "DescAccountSummary").send()
    refusal(answer, answer.status_code, "InvalidAccessKeyId.NotFound")
    assert answer.status_code in (400, 403, 404)


def test_a_body_changed_after_signing_is_refused(server, account):
    request = Request(endpoint(server), account.key_id, account.secret, "QueryDomainByParam", form={"PageSize": "5"})
    request.body = b"PageSize=50"
    assert request.send().status_code in (400, 403)


def test_a_query_changed_after_signing_is_refused(server, account):
    request = Request(endpoint(server), account.key_id, account.secret, "QueryDomainByParam", query={"PageSize": "5"})
    request.query["PageSize"] = "50"
    answer = request.send()
    assert answer.status_code in (400, 403)
    refusal(answer, answer.status_code, "SignatureDoesNotMatch")


@pytest.mark.parametrize("header", ["host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce", "x-acs-version",
                                    "x-acs-content-sha256"])
def test_what_must_be_signed_must_be_signed(server, account, header):
    assert call(server, account, "DescAccountSummary", unsigned=(header,)).status_code in (400, 403)


@pytest.mark.parametrize("authorization", ["", "Basic abc", "ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=,Signature=",
                                           "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=zz", "\u00e9" * 9])
def test_a_malformed_authorization_is_refused(server, account, authorization):
    request = Request(endpoint(server), account.key_id, account.secret, "DescAccountSummary")
    request.headers["Authorization"] = authorization.encode("utf-8").decode("latin-1")
    answer = request.send()
    assert answer.status_code in (400, 403)
    assert answer.json()["Code"]


def test_an_unknown_action_is_named(server, account):
    body = refusal(call(server, account, "FrobnicateMail"), 404)
    assert "FrobnicateMail" in body["Message"] or "FrobnicateMail" in body.get("Recommend", "")


def test_an_action_of_a_later_release_is_named(server, account):
    answer = call(server, account, "BatchSendMail", query={"AccountName": "a@b.test", "AddressType": "1"})
    assert answer.status_code in (400, 404) and "BatchSendMail" in answer.text


def test_a_wrong_version_is_refused(server, account):
    assert call(server, account, "DescAccountSummary", version="1999-01-01").status_code in (400, 404)


def test_xml_is_answered_when_asked_for(server, account):
    from harness.sdk import Sdk
    sdk = Sdk(endpoint(server), account.key_id, account.secret, signature_algorithm="v2")
    assert sdk.summary().daily_quota == 2000
    answer = call(server, account, "DescAccountSummary", query={"Format": "XML"})
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "DescAccountSummaryResponse" and root.findtext("DailyQuota") == "2000"
    broken = call(server, account, "DeleteDomain", query={"Format": "XML"})
    error = ElementTree.fromstring(broken.content)
    assert broken.status_code == 400 and error.tag == "Error" and error.findtext("Code")


def test_rpc_1_0_signature_sends_a_mail_and_refuses_a_wrong_secret(server, account, sender, peer):
    sdk = server.sdk(account.key_id, account.secret, signature_algorithm="v2")
    to = f"rpc-{account.tag}@peer.test"
    sdk.send(sender.address, to, subject="v2 + & * ~ 世界")
    assert peer.wait_for(to)[0].message["Subject"] == "v2 + & * ~ 世界"
    with pytest.raises(ClientException) as refused:
        server.sdk(account.key_id, "wrong", signature_algorithm="v2").summary()
    assert refused.value.code == "SignatureDoesNotMatch"


def test_too_many_calls_raise_the_sdks_throttling_exception(server, account):
    def ask(_):
        try:
            account.sdk.summary()
        except ThrottlingException as throttled:
            return throttled
        return None

    with ThreadPoolExecutor(16) as pool:
        end = time.monotonic() + 30
        throttled = None
        while throttled is None and time.monotonic() < end:
            throttled = next((t for t in pool.map(ask, range(400)) if t), None)
    assert throttled is not None, "12,000 calls and more a minute went through"
    assert throttled.code.startswith("Throttling") and throttled.retry_after > 0


@pytest.mark.parametrize("raw", [b"", b"GARBAGE\r\n\r\n", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
                                 b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"])
def test_garbage_does_not_disturb_others(server, account, raw):
    import socket
    with socket.create_connection(("127.0.0.1", server.api), timeout=5) as connection:
        connection.sendall(raw)
    assert call(server, account, "DescAccountSummary").status_code == 200


# Parameters, action by action

LONG = "x" * 300
MISSING = None

BAD_SINGLE_SEND = [
    ({"AccountName": MISSING}, "AccountName"), ({"AddressType": MISSING}, "AddressType"),
    ({"ReplyToAddress": MISSING}, "ReplyToAddress"), ({"ToAddress": MISSING}, "ToAddress"),
    ({"Subject": MISSING}, "Subject"), ({"TextBody": MISSING}, "Body"),
    ({"AddressType": "2"}, "AddressType"), ({"AddressType": "one"}, "AddressType"),
    ({"ReplyToAddress": "perhaps"}, "ReplyToAddress"),
    ({"AccountName": "unknown@nowhere.test"}, ""), ({"AccountName": "not an address"}, ""),
    ({"ToAddress": ""}, "oAddress"), ({"ToAddress": "nobody"}, "oAddress"), ({"ToAddress": "a@b@c"}, "oAddress"),
    ({"ToAddress": ",".join(f"u{i}@peer.test" for i in range(101))}, "oAddress"),
    ({"ToAddress": "a@peer.test\r\nRCPT TO:<b@peer.test>"}, "oAddress"),
    ({"BccAddress": "a@b.test,c@d.test,e@f.test"}, "BccAddress"), ({"BccAddress": "@"}, "BccAddress"),
    ({"Subject": LONG}, "Subject"), ({"Subject": "Hi\r\nBcc: victim@peer.test"}, "Subject"),
    ({"Subject": "Hi\nX: y"}, "Subject"), ({"Subject": "Hi\x00"}, "Subject"),
    ({"FromAlias": "A\r\nBcc: x@peer.test"}, "FromA"), ({"FromAlias": "x" * 60}, "FromA"),
    ({"ReplyAddress": "a@b.test\r\nX: y"}, "ReplyAddress"), ({"ReplyAddress": "nonsense"}, "ReplyAddress"),
    ({"ReplyAddressAlias": "A\nB: c", "ReplyAddress": "a@b.test"}, "ReplyAddressAlias"),
    ({"Headers": "not json"}, "Headers"), ({"Headers": '["a"]'}, "Headers"),
    ({"Headers": '{"X-User-A": "b\\r\\nBcc: c@peer.test"}'}, "Headers"),
    ({"Headers": '{"X-User A": "b"}'}, "Headers"), ({"Headers": '{"From": "ceo@bank.test"}'}, "Headers"),
    ({"Headers": "{" + ",".join(f'"X-User-{i}": "v"' for i in range(11)) + "}"}, "Headers"),
    ({"TagName": "x" * 129}, "TagName"), ({"TagName": "no spaces"}, "TagName"),
    ({"ClickTrace": "1"}, "ClickTrace"), ({"ClickTrace": "yes"}, "ClickTrace"),
    ({"Attachments.1.AttachmentName": "a.txt", "Attachments.1.AttachmentUrl": "http://x.test/a"}, "Attachment"),
]


@pytest.mark.parametrize("change,named", BAD_SINGLE_SEND, ids=lambda c: str(c)[:50])
def test_single_send_mail_refuses(server, account, sender, change, named):
    form = {"AccountName": sender.address, "AddressType": "1", "ReplyToAddress": "false",
            "ToAddress": "good@peer.test", "Subject": "s", "TextBody": "b"} | change
    form = {key: value for key, value in form.items() if value is not MISSING}
    before = account.sdk.summary().remain_free_quota
    answer = call(server, account, "SingleSendMail", form=form)
    body = refusal(answer, answer.status_code)
    assert 400 <= answer.status_code < 500
    assert named.lower() in (body["Message"] + body["Code"]).lower(), body
    assert account.sdk.summary().remain_free_quota == before


def test_single_send_mail_of_an_unverified_domain_is_refused(server, account):
    sender = server.create_sender(account, f"unverified{account.tag[-8:]}.test", verify=False)
    with pytest.raises(ClientException) as refused:
        account.sdk.send(sender.address, "a@peer.test")
    assert 400 <= refused.value.status_code < 500


def test_headers_that_are_allowed_arrive(server, account, sender, peer):
    to = f"headers-{account.tag}@peer.test"
    account.sdk.send(sender.address, to, headers='{"X-User-Campaign": "autumn", "List-Unsubscribe": "<mailto:out@x.test>"}')
    mail = peer.wait_for(to)[0].message
    assert mail["X-User-Campaign"] == "autumn" and mail["List-Unsubscribe"] == "<mailto:out@x.test>"


BAD_OTHERS = [
    ("CreateDomain", {}), ("CreateDomain", {"DomainName": ""}), ("CreateDomain", {"DomainName": "no spaces.test"}),
    ("CreateDomain", {"DomainName": "-x.test"}), ("CreateDomain", {"DomainName": "x" * 51 + ".test"}),
    ("CreateDomain", {"DomainName": "nodot"}), ("CreateDomain", {"DomainName": "a..b"}),
    ("CreateDomain", {"DomainName": "ok.test", "dkimSelector": "-bad-"}),
    ("CreateDomain", {"DomainName": "ok.test", "dkimSelector": "x" * 61}),
    ("CheckDomain", {}), ("CheckDomain", {"DomainId": "1"}), ("CheckDomain", {"DomainId": "x"}),
    ("CheckDomain", {"DomainId": "9" * 40}),
    ("DescDomain", {}), ("DescDomain", {"DomainId": "1"}), ("DescDomain", {"DomainId": "-"}),
    ("QueryDomainByParam", {"PageNo": "0"}), ("QueryDomainByParam", {"PageSize": "x"}),
    ("QueryDomainByParam", {"Status": "7"}), ("QueryDomainByParam", {"KeyWord": "x" * 51}),
    ("DeleteDomain", {}), ("DeleteDomain", {"DomainId": "1"}), ("DeleteDomain", {"DomainId": "1.5"}),
    ("ChangeDomainDkimRecord", {}), ("ChangeDomainDkimRecord", {"Domain": "unknown.test", "DkimRsaLength": "2048"}),
    ("CreateMailAddress", {}), ("CreateMailAddress", {"AccountName": "a@unknown.test", "Sendtype": "batch"}),
    ("CreateMailAddress", {"AccountName": "not an address", "Sendtype": "batch"}),
    ("CreateMailAddress", {"AccountName": "a@unknown.test"}),
    ("CreateMailAddress", {"AccountName": "a@unknown.test", "Sendtype": "other"}),
    ("ModifyMailAddress", {}), ("ModifyMailAddress", {"MailAddressId": "1", "Password": "Quiet47Harbor"}),
    ("ModifyMailAddress", {"MailAddressId": "x"}),
    ("QueryMailAddressByParam", {"Sendtype": "other"}), ("QueryMailAddressByParam", {"PageNo": "-1"}),
    ("QueryMailAddressByParam", {"KeyWord": "x" * 61}),
    ("DeleteMailAddress", {}), ("DeleteMailAddress", {"MailAddressId": "1"}),
    ("ModifyPWByDomain", {}), ("ModifyPWByDomain", {"DomainName": "unknown.test", "Password": "Quiet47Harbor"}),
    ("QueryInvalidAddress", {"StartTime": "yesterday"}), ("QueryInvalidAddress", {"Length": "x"}),
    ("QueryInvalidAddress", {"StartTime": "2020-01-01", "EndTime": "2026-01-01"}),
    ("DeleteInvalidAddress", {}), ("DeleteInvalidAddress", {"ToAddress": "not an address"}),
    ("SenderStatisticsDetailByParam", {"Length": "0"}), ("SenderStatisticsDetailByParam", {"Length": "101"}),
    ("SenderStatisticsDetailByParam", {"Status": "9"}), ("SenderStatisticsDetailByParam", {"StartTime": "x"}),
    ("SenderStatisticsDetailByParam", {"AccountName": "a@b.test", "ToAddress": "c@d.test"}),
]


@pytest.mark.parametrize("action,query", BAD_OTHERS, ids=lambda v: str(v)[:60])
def test_other_actions_refuse(server, account, action, query):
    answer = call(server, account, action, query=query)
    assert 400 <= answer.status_code < 500, answer.text
    refusal(answer, answer.status_code)
    assert call(server, account, "QueryDomainByParam").json()["TotalCount"] == 0


@pytest.mark.parametrize("password", ["short1A", "alllowercase11", "ALLUPPERCASE11", "NoDigitsHere", "Aa1Aa1" * 5,
                                      "Only1Digithere", "with space 11AA"])
def test_weak_passwords_are_refused(server, account, sender, password):
    for action, query in (("ModifyPWByDomain", {"DomainName": sender.domain}),
                          ("ModifyMailAddress", {"MailAddressId": sender.address_id})):
        answer = call(server, account, action, query=query | {"Password": password})
        refusal(answer, 400)


def test_another_accounts_ids_are_unknown(server, account, sender):
    other = server.create_account("Other").sdk.dm
    for attempt in (
            lambda: other.desc_domain(dm.DescDomainRequest(domain_id=int(sender.domain_id))),
            lambda: other.check_domain(dm.CheckDomainRequest(domain_id=int(sender.domain_id))),
            lambda: other.delete_domain(dm.DeleteDomainRequest(domain_id=int(sender.domain_id))),
            lambda: other.modify_pwby_domain(dm.ModifyPWByDomainRequest(domain_name=sender.domain, password="Quiet47Harbor")),
            lambda: other.change_domain_dkim_record(
                dm.ChangeDomainDkimRecordRequest(domain=sender.domain, dkim_rsa_length=2048)),
            lambda: other.modify_mail_address(
                dm.ModifyMailAddressRequest(mail_address_id=int(sender.address_id), password="Quiet47Harbor")),
            lambda: other.delete_mail_address(dm.DeleteMailAddressRequest(mail_address_id=int(sender.address_id))),
            lambda: other.create_mail_address(
                dm.CreateMailAddressRequest(account_name=f"mine@{sender.domain}", sendtype="batch"))):
        with pytest.raises(ClientException):
            attempt()
    assert account.sdk.dm.desc_domain(dm.DescDomainRequest(domain_id=int(sender.domain_id))).body.domain_name == sender.domain
    account.sdk.send(sender.address, "still@peer.test")


def test_another_accounts_sender_cannot_be_used(server, account, sender):
    with pytest.raises(ClientException):
        server.create_account("Thief").sdk.send(sender.address, "a@peer.test")


def test_domains_and_addresses_live_and_die(server, account, sender):
    client = account.sdk.dm
    listed = client.query_domain_by_param(dm.QueryDomainByParamRequest()).body
    assert [d.domain_name for d in listed.data.domain] == [sender.domain]
    assert listed.data.domain[0].domain_status == "0"
    with pytest.raises(ClientException):
        client.create_domain(dm.CreateDomainRequest(domain_name=sender.domain))
    addresses = client.query_mail_address_by_param(dm.QueryMailAddressByParamRequest()).body.data.mail_address
    assert [a.account_name for a in addresses] == [sender.address]
    client.delete_mail_address(dm.DeleteMailAddressRequest(mail_address_id=int(sender.address_id)))
    with pytest.raises(ClientException):
        account.sdk.send(sender.address, "a@peer.test")
    client.delete_domain(dm.DeleteDomainRequest(domain_id=int(sender.domain_id)))
    assert client.query_domain_by_param(dm.QueryDomainByParamRequest()).body.total_count == 0
    summary = account.sdk.summary()
    assert (summary.domains, summary.mail_addresses) == (0, 0)


@pytest.mark.parametrize("query", [{}, {"StartTime": "x", "EndTime": "y", "IncludeShare": "false"},
                                   {"StartTime": "2026-01-01 00:00:00", "EndTime": "2025-01-01 00:00:00",
                                    "IncludeShare": "false"}])
def test_utilization_detail_refuses(server, account, query):
    answer = call(server, account, "QueryDPUtilizationDetail", version="2017-12-14", query=query)
    assert answer.status_code >= 400 or answer.json()["Success"] is False


def test_bss_actions_of_a_later_release_are_named(server, account):
    with pytest.raises(ClientException) as refused:
        account.sdk.bss.query_cash_coupons(bss.QueryCashCouponsRequest())
    assert "QueryCashCoupons" in refused.value.message


def test_r26_same_idempotency_key_is_one_mail_by_the_api(server, account, sender):
    def send(text: str, key: str):
        request = Request(endpoint(server), account.key_id, account.secret, "SingleSendMail", form={
            "AccountName": sender.address, "AddressType": "1", "ReplyToAddress": "false",
            "ToAddress": "idem@peer.test", "Subject": "s", "TextBody": text})
        request.headers["x-indicia-idempotency-key"] = key
        return request.send()

    first, second = send("b", "key-1"), send("b", "key-1")
    assert first.json()["EnvId"] == second.json()["EnvId"]
    refusal(send("other", "key-1"), 400)
    assert send("b", "key-2").json()["EnvId"] != first.json()["EnvId"]
    assert account.sdk.summary().remain_free_quota == 1998
