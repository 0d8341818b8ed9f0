"""Who pays for a mail, seen through the SDKs: free credit, packages, pay-as-you-go, and the quota beside it."""

import datetime
from decimal import Decimal

import pytest

from harness.sdk import ClientException, bss
from harness.submission import connect, message

pytestmark = pytest.mark.sdk

FREE_PER_DAY = 200


@pytest.fixture
def rich(server, account):
    server.add_credit(account, "1000.00")
    server.set_quota(account, 60_000)
    return account


def use(sdk, sender, count: int):
    """Has `count` mails accepted, up to a hundred a call."""
    while count > 0:
        step = min(count, 100)
        sdk.send(sender.address, ",".join(f"use{i}@peer.test" for i in range(step)))
        count -= step


def deductions(sdk, instance_id: str | None = None):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    body = sdk.bss.query_dputilization_detail(bss.QueryDPUtilizationDetailRequest(
        start_time=(now - day).strftime("%Y-%m-%d %H:%M:%S"), end_time=(now + day).strftime("%Y-%m-%d %H:%M:%S"),
        include_share=False, prod_code="dm", instance_id=instance_id, limit=300)).body
    assert body.success, body.message
    return body.data.detail_list.detail_list or []


def test_r04_free_credit_then_package_then_pay_as_you_go(server, rich, sender):
    sdk = rich.sdk
    assert sdk.buy().success
    use(sdk, sender, FREE_PER_DAY)
    assert sdk.summary().daily_remain_free_quota == 0
    assert [p.remaining_amount for p in sdk.packages()] == ["50000"]
    use(sdk, sender, 150)
    assert [Decimal(p.remaining_amount) for p in sdk.packages()] == [49_850]
    assert sdk.summary().remain_free_quota == 2000 - FREE_PER_DAY
    server.verify_ledger()


def test_r06_free_credit_is_200_a_day_of_2000(server, rich, sender):
    use(rich.sdk, sender, FREE_PER_DAY + 50)
    summary = rich.sdk.summary()
    assert (summary.daily_remain_free_quota, summary.remain_free_quota) == (0, 1800)


def test_r05_a_request_is_split_over_sources_line_by_line(server, rich, sender):
    sdk = rich.sdk
    first, second = sdk.buy(), sdk.buy()
    use(sdk, sender, FREE_PER_DAY - 30)
    env_id = sdk.send(sender.address, ",".join(f"split{i}@peer.test" for i in range(100)))
    remaining = {p.instance_id: Decimal(p.remaining_amount) for p in sdk.packages()}
    assert remaining == {first.data.instance_id: 49_930, second.data.instance_id: 50_000}
    lines = deductions(sdk, first.data.instance_id)
    assert sum(line.deduct_quantity for line in lines) == 70
    assert first.data.instance_id in server.message_show(env_id)
    server.verify_ledger()


def test_r07_packages_cost_what_the_price_list_says(server, rich):
    sdk, prices = rich.sdk, {"50000": "13.05", "500000": "121.80"}
    balance = Decimal(sdk.balance().available_cash_amount.replace(",", ""))
    for specification, price in prices.items():
        quoted = sdk.bss.get_resource_package_price(bss.GetResourcePackagePriceRequest(
            product_code="dm", package_type="FPT_dm_package", specification=specification, duration=6,
            pricing_cycle="Month", order_type="BUY", instance_id="")).body
        assert quoted.success and quoted.data.currency == "USD"
        assert Decimal(str(quoted.data.trade_price)) == Decimal(price)
        bought = sdk.buy(specification)
        assert bought.success and bought.data.instance_id.startswith("DMBAG-")
        assert isinstance(bought.data.order_id, int) and bought.order_id == bought.data.order_id
        balance -= Decimal(price)
        assert Decimal(sdk.balance().available_cash_amount.replace(",", "")) == balance
    server.verify_ledger()


def test_r07_without_money_nothing_is_bought(server, account):
    refused = account.sdk.buy()
    assert refused.success is False and refused.code and refused.message
    assert account.sdk.packages() == []


@pytest.mark.parametrize("change", [
    {"product_code": "oss"}, {"package_type": "FPT_other"}, {"specification": "123"}, {"specification": "-50000"},
    {"specification": "50000.5"}, {"duration": 12}, {"duration": 0}, {"pricing_cycle": "Week"}])
def test_a_package_that_is_not_for_sale_is_refused(server, rich, change):
    wanted = {"product_code": "dm", "package_type": "FPT_dm_package", "specification": "50000", "duration": 6,
              "pricing_cycle": "Month"} | change
    try:
        body = rich.sdk.bss.create_resource_package(bss.CreateResourcePackageRequest(**wanted)).body
        assert body.success is False and body.code
    except ClientException as refused:
        assert refused.status_code == 400
    assert rich.sdk.packages() == []
    assert Decimal(rich.sdk.balance().available_cash_amount.replace(",", "")) == 1000


def test_r08_validity_ends_at_the_local_midnight_after_six_months(server):
    account = server.create_account("Shanghai", zone="Asia/Shanghai")
    server.add_credit(account, "20")
    account.sdk.buy()
    package = account.sdk.packages()[0]
    start = datetime.datetime.strptime(package.effective_time, "%Y-%m-%dT%H:%M:%SZ")
    end = datetime.datetime.strptime(package.expiry_time, "%Y-%m-%dT%H:%M:%SZ")
    assert package.expiry_time.endswith("T16:00:00Z"), "midnight at UTC+8"
    assert 181 <= (end - start).days <= 185
    assert package.status == "Available"


def test_r10_pay_as_you_go_carries_on_when_nothing_else_is_left(server, rich, sender, peer):
    use(rich.sdk, sender, FREE_PER_DAY)
    to = f"payg-{rich.tag}@peer.test"
    env_id = rich.sdk.send(sender.address, to)
    peer.wait_for(to)
    assert rich.sdk.summary().remain_free_quota == 1800
    assert "pay" in server.message_show(env_id).lower()
    server.verify_ledger()


def test_r17_over_quota_is_refused_whole_and_explained(server, account, sender):
    server.set_quota(account, 5)
    account.sdk.send(sender.address, "a@peer.test,b@peer.test")
    with pytest.raises(ClientException) as refused:
        account.sdk.send(sender.address, "c@peer.test,d@peer.test,e@peer.test,f@peer.test")
    assert refused.value.code == "InvalidSendMail.Quota" and refused.value.status_code == 400
    assert "5" in refused.value.message and "2" in refused.value.message
    account.sdk.send(sender.address, "c@peer.test,d@peer.test,e@peer.test")
    assert account.sdk.summary().remain_free_quota == 1995


def test_r17_initial_quota(server, account):
    summary = account.sdk.summary()
    assert (summary.daily_quota, summary.month_quota, summary.quota_level) == (2000, 60_000, 2)


def test_r18_money_buys_no_quota(server, account):
    before = account.sdk.summary()
    server.add_credit(account, "5000")
    assert account.sdk.buy("1000000").success
    after = account.sdk.summary()
    assert (after.daily_quota, after.month_quota, after.quota_level) == (
        before.daily_quota, before.month_quota, before.quota_level)


def test_packages_are_listed_with_the_types_that_strict_sdks_need(server, rich):
    for _ in range(3):
        rich.sdk.buy()
    body = rich.sdk.bss.query_resource_package_instances(bss.QueryResourcePackageInstancesRequest(
        product_code="dm", page_num=2, page_size=2)).body
    assert (body.code, body.success) == ("Success", True)
    assert (body.page, body.page_size, body.total) == (2, 2, 3)
    assert (body.data.page_num, body.data.page_size, body.data.total_count) == ("2", "2", "3")
    [package] = body.data.instances.instance
    for value in (package.instance_id, package.package_type, package.total_amount, package.remaining_amount,
                  package.effective_time, package.expiry_time, package.status, package.deduct_type):
        assert isinstance(value, str) and value
    assert package.total_amount_unit == package.remaining_amount_unit == "Mail"
    assert package.package_type == "FPT_dm_package"


def test_catalogue_offers_the_four_specifications(server, account):
    body = account.sdk.bss.describe_resource_package_product(
        bss.DescribeResourcePackageProductRequest(product_code="dm")).body
    [product] = body.data.resource_packages.resource_package
    [kind] = product.package_types.package_type
    offered = {s.value for s in kind.specifications.specification}
    assert (product.product_code, kind.code) == ("dm", "FPT_dm_package")
    assert offered == {"50000", "500000", "1000000", "5000000"}
    for specification in kind.specifications.specification:
        [duration] = specification.available_durations.available_duration
        assert (duration.value, duration.unit) == (6, "Month")


def test_balance_is_text_with_two_decimals(server, rich):
    data = rich.sdk.balance()
    assert data.currency == "USD"
    assert data.available_cash_amount.replace(",", "") == "1000.00"
    assert isinstance(data.credit_amount, str)


def test_deduction_lines_page_by_token(server, rich, sender):
    rich.sdk.buy()
    use(rich.sdk, sender, FREE_PER_DAY)
    for _ in range(5):
        rich.sdk.send(sender.address, "token@peer.test")
    now = datetime.datetime.now(datetime.timezone.utc)
    span = {"start_time": (now - datetime.timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S"),
            "end_time": (now + datetime.timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S"), "include_share": False}
    seen, token = [], None
    for _ in range(10):
        data = rich.sdk.bss.query_dputilization_detail(bss.QueryDPUtilizationDetailRequest(
            **span, prod_code="dm", limit=2, last_token=token)).body.data
        seen += [line.deduct_quantity for line in data.detail_list.detail_list or []]
        token = data.next_token
        if not token:
            break
    assert sum(seen) == 5


def test_the_command_line_says_the_same_as_the_api(server, rich, sender):
    bought = rich.sdk.buy()
    use(rich.sdk, sender, FREE_PER_DAY + 7)
    listed = server.run_json("package", "list", rich.account_id)
    entries = listed if isinstance(listed, list) else listed["packages"]
    [entry] = entries
    assert bought.data.instance_id in entry.values()
    assert 49_993 in entry.values()
    assert bought.data.instance_id in server.run("package", "list", rich.account_id).stdout
    server.verify_ledger()


def test_a_refused_recipient_is_neither_counted_nor_charged(server, account, sender):
    with pytest.raises(ClientException):
        account.sdk.send(sender.address, "not-an-address")
    with connect(server.smtps, sender, "implicit") as client:
        refused = client.sendmail(sender.address, ["good@peer.test", "bad@@peer.test"],
                                  message(sender.address, "good@peer.test"))
    assert list(refused) == ["bad@@peer.test"]
    assert account.sdk.summary().remain_free_quota == 1999
