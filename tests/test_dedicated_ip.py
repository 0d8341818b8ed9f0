"""Dedicated IP addresses: given out by the operator, pooled and warmed up over the SDK, and really sent from (R24)."""

import datetime

import pytest

from harness.models import empty_fields
from harness.peers import Peer
from harness.ports import free_port
from harness.sdk import ClientException, dm
from harness.submission import connect, message
from harness.waiting import wait_until

pytestmark = pytest.mark.sdk

SHARED = "127.0.0.9"
DAY_S = 86_400
ESPS = ["gmail.com", "yahoo.com", "outlook.com", "icloud.com", "qq.com", "163.com", "others"]


@pytest.fixture(scope="module")
def peer():
    made = Peer(free_port())
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(make_server, peer):
    """Delivers everything to `peer`; a new address may send two mails to a provider on its first day."""
    return make_server(
        delivery={
            "hostname": "out.indicia.test", "local_addresses": [SHARED], "retry_pauses_seconds": [1, 2],
            "route": [{"domain": "*", "host": peer.host, "port": peer.port}]},
        warmup={"schedule": "slow", "schedules": [{"name": "slow", "daily": [2, 4, 6]}]}).start()


_last = iter(range(20, 250))


@pytest.fixture
def address(server, account):
    """A fresh loopback address, assigned to the account for a month."""
    made = f"127.0.0.{next(_last)}"
    server.run("ip", "assign", account.account_id, made)
    return made


@pytest.fixture
def pool(account, address):
    """A pool of that one address."""
    return create_pool(account, "news", [ip_of(account, address).id])


def ips(account, **asked):
    return account.sdk.dm.dedicated_ip_list(dm.DedicatedIpListRequest(page_size=100, **asked)).body


def ip_of(account, address):
    return next(ip for ip in ips(account).ips if ip.ip == address)


def create_pool(account, name: str, ids: list[str]) -> str:
    request = dm.DedicatedIpPoolCreateRequest(name=name, buy_resource_ids=",".join(ids))
    return account.sdk.dm.dedicated_ip_pool_create(request).body.id


def pools(account, **asked):
    return account.sdk.dm.dedicated_ip_pool_list(dm.DedicatedIpPoolListRequest(**asked)).body


def sources(peer, names: list[str]) -> list[str]:
    """From which addresses the mails came, in order."""
    return sorted(peer.wait_for(name)[0].peer_ip for name in names)


def test_the_lists_have_the_sdks_fields_and_types(server, account, address, pool):
    other = f"127.0.0.{next(_last)}"
    server.run("ip", "assign", account.account_id, other, "--months", "2")
    listed = ips(account)
    assert empty_fields(listed) == set()
    mine = next(ip for ip in listed.ips if ip.ip == address)
    assert (mine.ip_pool_name, mine.status, mine.warmup_type, mine.warmup_status) == ("news", "sold", "sysCusStream", "init")
    assert mine.id == mine.instance_id and not mine.ip_ext.auto_renewal and not mine.ip_ext.has_send_mail
    month = datetime.datetime.fromisoformat(mine.expired_time) - datetime.datetime.fromisoformat(mine.start_time)
    assert 28 <= month.days <= 31
    assert [ip.ip for ip in ips(account, keyword=other[-3:]).ips] == [other]
    free = account.sdk.dm.dedicated_ip_none_pool_list().body
    assert empty_fields(free) == set() and [ip.ip for ip in free.ips] == [other]
    found = pools(account, all=True)
    assert empty_fields(found) == set()
    assert [(p.id, p.name, p.ip_count, p.ips[0].ip) for p in found.ip_pools] == [(pool, "news", 1, address)]


def test_a_pool_is_filled_emptied_and_deleted(server, account, address):
    ip = ip_of(account, address).id
    first = create_pool(account, "first", [])
    client = account.sdk.dm
    update = dm.DedicatedIpPoolUpdateRequest(id=first, buy_resource_ids=ip, update_resource=True)
    assert client.dedicated_ip_pool_update(update).body.id == first
    assert pools(account, pool_id=first).ip_pools[0].ip_count == 1
    with pytest.raises(ClientException) as refused:
        create_pool(account, "second", [ip])
    assert refused.value.code == "InvalidDedicatedIp.InPool" and address in refused.value.message
    with pytest.raises(ClientException) as refused:
        create_pool(account, "first", [])
    assert refused.value.code == "InvalidIpPoolName.Exist"
    client.dedicated_ip_pool_delete(dm.DedicatedIpPoolDeleteRequest(id=first))
    assert pools(account).ip_pools == []
    with pytest.raises(ClientException) as refused:
        client.dedicated_ip_pool_delete(dm.DedicatedIpPoolDeleteRequest(id=first))
    assert refused.value.code == "InvalidIpPool.NotFound"
    assert [free.id for free in client.dedicated_ip_none_pool_list().body.ips] == [ip]


def test_renewal_and_the_type_of_warm_up_are_switched(server, account, address):
    ip, client = ip_of(account, address).id, account.sdk.dm
    client.dedicated_ip_auto_renewal(dm.DedicatedIpAutoRenewalRequest(auto_renewal="true", buy_resource_ids=ip))
    assert ip_of(account, address).ip_ext.auto_renewal
    client.dedicated_ip_auto_renewal(dm.DedicatedIpAutoRenewalRequest(auto_renewal="false", buy_resource_ids=ip))
    assert not ip_of(account, address).ip_ext.auto_renewal
    client.dedicated_ip_change_warmup_type(dm.DedicatedIpChangeWarmupTypeRequest(id=ip, warmup_type="cusSelfManager"))
    assert ip_of(account, address).warmup_type == "cusSelfManager"
    with pytest.raises(ClientException) as refused:
        client.dedicated_ip_change_warmup_type(dm.DedicatedIpChangeWarmupTypeRequest(id=ip, warmup_type="fast"))
    assert refused.value.code == "InvalidParameter"


def test_an_address_is_one_accounts_and_is_given_out_by_the_operator(server, account, address):
    other = server.create_account()
    taken = server.run("ip", "assign", other.account_id, address, expect=1)
    assert account.account_id in taken.stderr
    assert ips(other).ips == []
    listed = server.run_json("ip", "list", account.account_id)
    assert [(ip["address"], ip["account_id"]) for ip in listed] == [(address, account.account_id)]
    assert address in server.run("ip", "list").stdout
    server.run("ip", "release", other.account_id, address, expect=1)
    server.run("ip", "release", account.account_id, address)
    assert ips(account).ips == []
    server.run("ip", "assign", other.account_id, address)
    assert [ip.ip for ip in ips(other).ips] == [address]
    for wrong in (["assign", account.account_id, "mx.example.net"], ["assign", account.account_id, address, "--months", "0"],
                  ["assign", account.account_id, "0.0.0.0"]):
        server.run("ip", *wrong, expect=2)
    server.run("ip", "assign", "1", f"127.0.0.{next(_last)}", expect=1)
    noted = server.run("audit", "list").stdout
    assert "assign-ip" in noted and "release-ip" in noted


def test_r24_mail_of_a_pool_comes_from_its_address_and_the_rest_from_shared_ones(server, account, sender, peer, address, pool):
    names = [f"u{number}-{account.tag}@gmail.com" for number in range(3)]
    env_id = account.sdk.send(sender.address, ",".join(names), ip_pool_id=pool)
    assert sources(peer, names) == [address, address, SHARED]
    for name in names:
        server.wait_outcome(account, name, status=0)
    shown = server.message_show(env_id)
    assert shown.count(address) == 2 and shown.count(SHARED) == 1, shown
    without = f"w-{account.tag}@gmail.com"
    account.sdk.send(sender.address, without)
    assert sources(peer, [without]) == [SHARED], "no pool was asked for"
    elsewhere = f"e-{account.tag}@yahoo.fr"
    account.sdk.send(sender.address, elsewhere, ip_pool_id=pool)
    assert sources(peer, [elsewhere]) == [address], "each provider has an allowance of its own"
    client = account.sdk.dm
    info = client.get_dedicated_ip_warm_up_info(dm.GetDedicatedIpWarmUpInfoRequest(dedicated_ip=address)).body
    assert empty_fields(info) == set() and [(esp.esp, esp.finished) for esp in info.info] == [(esp, False) for esp in ESPS]

    def counted():
        request = dm.GetDedicatedIpWarmUpDetailRequest(dedicated_ip=address)
        detail = client.get_dedicated_ip_warm_up_detail(request).body
        assert empty_fields(detail) == set()
        today = int(server.now().strftime("%Y%m%d"))
        rows = {(row.day_mark, row.esp): (row.send_counts, row.deliver_counts) for row in detail.detail}
        return rows == {(today, "gmail.com"): (2, 2), (today, "yahoo.com"): (1, 1)}

    wait_until(counted, "both providers' counts")
    ip = ip_of(account, address)
    assert ip.ip_ext.has_send_mail and ip.warmup_status == "warming"


def test_over_smtp_a_header_names_the_pool(server, account, sender, peer, address, pool):
    to = f"smtp-{account.tag}@gmail.com"
    with connect(server.smtps, sender, "implicit") as client:
        client.sendmail(sender.address, [to], message(sender.address, to, extra=f"X-Indicia-Ip-Pool: {pool}\r\n"))
    mail = peer.wait_for(to)[0]
    assert mail.peer_ip == address and mail.message["X-Indicia-Ip-Pool"] is None


def test_a_pool_that_is_not_the_accounts_is_refused(server, account, sender, pool):
    other = server.create_account()
    theirs = create_pool(other, "theirs", [])
    before = account.sdk.summary().remain_free_quota
    for wrong in (theirs, "e42a4d8e-66e0-4ea3-88aa-74c66c661cef"):
        with pytest.raises(ClientException) as refused:
            account.sdk.send(sender.address, f"x-{account.tag}@gmail.com", ip_pool_id=wrong)
        assert refused.value.code == "InvalidIpPool.NotFound" and wrong in refused.value.message
    assert account.sdk.summary().remain_free_quota == before


def test_r24_an_address_that_this_machine_lacks_loses_and_delays_nothing(server, account, sender, peer):
    server.run("ip", "assign", account.account_id, "192.0.2.77")
    pool = create_pool(account, "absent", [ip_of(account, "192.0.2.77").id])
    to = f"absent-{account.tag}@gmail.com"
    env_id = account.sdk.send(sender.address, to, ip_pool_id=pool)
    assert sources(peer, [to]) == [SHARED]
    server.wait_outcome(account, to, status=0)
    assert server.message_show(env_id).count(SHARED) == 1
    wait_until(lambda: server.metric("indicia_delivery_local_address_failures_total") >= 1, "the metric", 10)
    server.run("ip", "release", account.account_id, "192.0.2.77")


def test_r24_the_allowance_rises_day_by_day(make_server, peer):
    server = make_server(
        delivery={"local_addresses": [SHARED], "route": [{"domain": "*", "host": peer.host, "port": peer.port}]},
        warmup={"schedule": "slow", "schedules": [{"name": "slow", "daily": [2, 4]}]}).start()
    account = server.create_account()
    sender = server.create_sender(account, f"t{account.tag[-12:]}.sender.test")
    address = f"127.0.0.{next(_last)}"
    server.run("ip", "assign", account.account_id, address, "--months", "12")
    pool = create_pool(account, "news", [ip_of(account, address).id])
    def state():
        [row] = server.run_json("ip", "warmup", account.account_id)
        return row

    # Over SMTP, since the API refuses calls that are dated a day before its clock.
    for day, expected in enumerate((2, 4, 6)):
        if day:
            server.restart_ahead(day * DAY_S)
        names = [f"d{day}n{number}-{account.tag}@gmail.com" for number in range(6)]
        with connect(server.smtps, sender, "implicit") as client:
            client.sendmail(sender.address, names, message(sender.address, names[0], extra=f"X-Indicia-Ip-Pool: {pool}\r\n"))
        assert sources(peer, names).count(address) == expected, f"day {day + 1}"
        wait_until(lambda: state()["delivered"] == expected, "the outcomes of the day")
    assert (state()["provider"], state()["finished"], state()["allowance"]) == ("gmail.com", True, None)
    [listed] = server.run_json("ip", "list", account.account_id)
    assert listed["warmup_status"] == "finish"
    assert "warm" in server.run("ip", "warmup", account.account_id).stdout
