"""Every action of the billing API through the official SDK's typed models: types, empty fields, sums, refusals.

Half of it looks at one month of one account, made in a demo because only its clock can be moved: pay-as-you-go mails
in one hour, a purchase, a renewal, an upgrade and a refund, mails paid by a package, and the collection on the 1st."""

import datetime
import uuid
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from harness.demo import Demo
from harness.models import empty_fields
from harness.sdk import ClientException, bss
from harness.server import Account, Indicia, zone_at_noon
from harness.signing import Request

pytestmark = pytest.mark.sdk

PACKAGE = {"product_code": "dm", "package_type": "FPT_dm_package", "duration": 6, "pricing_cycle": "Month"}


def use(account: Account, address: str, count: int):
    while count > 0:
        step = min(count, 100)
        account.sdk.send(address, ",".join(f"use{i}@peer.test" for i in range(step)))
        count -= step


@dataclass
class Month:
    server: Indicia
    account: Account
    started: datetime.datetime
    packages: dict[str, str]
    refund_order: int

    @property
    def client(self):
        return self.account.sdk.bss

    @property
    def cycle(self) -> str:
        return self.started.strftime("%Y-%m")

    @property
    def day(self) -> str:
        return self.started.strftime("%Y-%m-%d")

    def utc(self, hours: int) -> str:
        """So many hours after the start, as the API has instants."""
        at = self.started.astimezone(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("month")
    demo = Demo("--data", folder / "demo")
    try:
        server = Indicia(folder / "commands", data_dir=folder / "demo")
        server.api = demo.api_port
        zone = zone_at_noon()
        account = server.create_account(zone=zone)
        server.add_credit(account, "500")
        sender = server.create_sender(account, "month.example")
        use(account, sender.address, 300)
        started = datetime.datetime.now(ZoneInfo(zone))
        demo.advance("1h")
        server.run("bill", "make")
        client, sdk = account.sdk.bss, account.sdk
        packages = {name: sdk.buy().data.instance_id for name in ("kept", "renewed", "small", "returned")}
        client.renew_resource_package(bss.RenewResourcePackageRequest(
            instance_id=packages["renewed"], duration=6, pricing_cycle="Month"))
        client.upgrade_resource_package(bss.UpgradeResourcePackageRequest(
            instance_id=packages["small"], specification="500000"))
        refund = client.refund_instance(bss.RefundInstanceRequest(
            instance_id=packages["returned"], product_code="dm", product_type="", immediately_release="1",
            client_token=str(uuid.uuid4()))).body
        assert refund.success, refund.message
        use(account, sender.address, 30)
        demo.advance("31d")
        server.run("bill", "make")
        yield Month(server, account, started, packages, refund.data.order_id)
    finally:
        demo.stop()


def items(body):
    assert body.success, body.message
    return body.data.items.item


# What the answers leave empty, and why.
UNKNOWN = {"biz_type"}
NO_ORDER_OF_A_BILL = {"sub_order_id"}
NOT_OF_A_MAIL_SERVICE = {"billing_type", "cost_unit", "internet_ip", "intranet_ip", "nick_name", "resource_group", "tag", "zone"}
ONLY_OF_PACKAGES = {"instance_config", "instance_spec", "service_period", "service_period_unit"}
ONLY_OF_PAY_AS_YOU_GO = {"usage", "usage_unit", "deducted_by_resource_package"}
INSTANCE_BILL = NOT_OF_A_MAIL_SERVICE | ONLY_OF_PACKAGES | ONLY_OF_PAY_AS_YOU_GO
TRANSACTION = {"transaction_account", "transaction_channel", "transaction_channel_sn", "record_id"}
ORDER = {"payment_status", "related_order_id"}
INSTANCE = {"seller", "seller_id", "renewal_duration", "renewal_duration_unit", "release_time", "expected_release_time"}

QUESTIONS = {
    "query_bill": (lambda m: bss.QueryBillRequest(billing_cycle=m.cycle), "data.items.item", NO_ORDER_OF_A_BILL),
    "query_settle_bill": (lambda m: bss.QuerySettleBillRequest(billing_cycle=m.cycle), "data.items.item",
                          NO_ORDER_OF_A_BILL | UNKNOWN),
    "query_bill_overview": (lambda m: bss.QueryBillOverviewRequest(billing_cycle=m.cycle), "data.items.item", UNKNOWN),
    "query_instance_bill": (lambda m: bss.QueryInstanceBillRequest(
        billing_cycle=m.cycle, granularity="DAILY", billing_date=m.day, is_billing_item=True),
        "data.items.item", INSTANCE_BILL),
    "describe_instance_bill": (lambda m: bss.DescribeInstanceBillRequest(
        billing_cycle=m.cycle, granularity="DAILY", billing_date=m.day, is_billing_item=True),
        "data.items", INSTANCE_BILL | UNKNOWN),
    "query_account_transactions": (lambda m: bss.QueryAccountTransactionsRequest(
        create_time_start=m.utc(-2)), "data.account_transactions_list.account_transactions_list", TRANSACTION),
    "query_account_transaction_details": (lambda m: bss.QueryAccountTransactionDetailsRequest(
        create_time_start=m.utc(-2), max_results=1),
        "data.account_transactions_list.account_transactions_list", TRANSACTION - {"transaction_channel"}),
    "query_orders": (lambda m: bss.QueryOrdersRequest(create_time_start=m.utc(-2)), "data.order_list.order", ORDER),
    "get_order_detail": (lambda m: bss.GetOrderDetailRequest(order_id=str(m.refund_order)), "data.order_list.order",
                         {"payment_status"}),
    "query_available_instances": (lambda m: bss.QueryAvailableInstancesRequest(
        product_code="dm", subscription_type="Subscription"), "data.instance_list", INSTANCE | {"sub_status"}),
    "query_resource_package_instances": (lambda m: bss.QueryResourcePackageInstancesRequest(product_code="dm"),
                                         "data.instances.instance", set()),
    "query_dputilization_detail": (lambda m: bss.QueryDPUtilizationDetailRequest(
        start_time=m.day + " 00:00:00", end_time=m.utc(6), include_share=False, limit=1),
        "data.detail_list.detail_list", {"deduct_hours", "data.next_token"}),
    "inquiry_price_refund_instance": (lambda m: bss.InquiryPriceRefundInstanceRequest(
        instance_id=m.packages["renewed"], product_code="dm", product_type="", client_token=str(uuid.uuid4())), "", set()),
    "get_pay_as_you_go_price": (lambda m: bss.GetPayAsYouGoPriceRequest(
        product_code="dm", subscription_type="PayAsYouGo", module_list=[bss.GetPayAsYouGoPriceRequestModuleList(
            module_code="Mail", price_type="Usage", config="Mail:1000")]), "", set()),
    "query_product_list": (lambda m: bss.QueryProductListRequest(page_num=1, query_total_count=True), "", set()),
    "describe_resource_package_product": (lambda m: bss.DescribeResourcePackageProductRequest(product_code="dm"), "",
                                          {"order_id"}),
    "get_resource_package_price": (lambda m: bss.GetResourcePackagePriceRequest(
        specification="500000", order_type="UPGRADE", instance_id=m.packages["renewed"], **PACKAGE), "", set()),
}
# Lists that are rightly without rows.
NO_PROMOTIONS = {"get_pay_as_you_go_price": "promotion_details", "get_resource_package_price": "promotions"}


@pytest.mark.parametrize("action", QUESTIONS)
def test_an_answer_has_every_field_of_the_sdks_model_that_can_be_known(month, action):
    request, rows, empty = QUESTIONS[action]
    body = getattr(month.client, action)(request(month)).body
    assert (body.success, body.code, body.message) == (True, "Success", "Successful!")
    expected = {name if "." in name or not rows else f"{rows}.{name}" for name in empty}
    if action in NO_PROMOTIONS:
        name = NO_PROMOTIONS[action]
        assert list(getattr(body.data, name).to_map().values()) == [[]]
        setattr(body.data, name, None)
        expected.add(f"data.{name}")
    found = empty_fields(body)
    assert found == expected, f"empty, but can be known: {found - expected}; filled, but cannot: {expected - found}"


def test_the_balance_has_every_field(month):
    body = month.client.query_account_balance().body
    assert (body.success, body.code) == (True, "200") and empty_fields(body) == set()


def total(rows, field: str) -> Decimal:
    return sum((Decimal(str(getattr(row, field))) for row in rows), Decimal(0))


def test_r10_the_months_sum_is_the_same_in_every_bill_action(month):
    client, cycle = month.client, month.cycle
    overview = items(client.query_bill_overview(bss.QueryBillOverviewRequest(billing_cycle=cycle)).body)
    expected = Decimal("13.05") * 5 + Decimal("108.75") - Decimal("13.05") + Decimal("0.03")
    assert total(overview, "pretax_amount") == expected
    lists = [
        items(client.query_bill(bss.QueryBillRequest(billing_cycle=cycle, page_size=300)).body),
        items(client.query_settle_bill(bss.QuerySettleBillRequest(billing_cycle=cycle, max_results=300)).body),
        items(client.query_instance_bill(bss.QueryInstanceBillRequest(billing_cycle=cycle, page_size=300)).body),
        client.describe_instance_bill(bss.DescribeInstanceBillRequest(billing_cycle=cycle, max_results=300)).body.data.items,
    ]
    for rows in lists:
        for field in ("pretax_gross_amount", "pretax_amount", "payment_amount", "outstanding_amount"):
            assert total(rows, field) == total(overview, field), field
    spent = 500 - Decimal(month.account.sdk.balance().available_cash_amount)
    assert total(overview, "payment_amount") == spent, "what the month cost was paid from the balance"
    assert {row.status for row in lists[0]} == {"PayFinish"}
    month.server.verify_ledger()


def test_r04_the_line_of_pay_as_you_go_says_what_packages_paid(month):
    rows = items(month.client.query_instance_bill(bss.QueryInstanceBillRequest(
        billing_cycle=month.cycle, subscription_type="PayAsYouGo", product_code="dm")).body)
    [line] = rows
    assert (line.instance_id, line.usage, line.usage_unit) == (month.account.account_id, "130", "Mail")
    assert line.deducted_by_resource_package == "30" and line.list_price == "0.00029"


def test_r27_transactions_are_the_balance_line_by_line(month):
    client, token, rows = month.client, None, []
    for _ in range(20):
        data = client.query_account_transaction_details(bss.QueryAccountTransactionDetailsRequest(
            create_time_start=month.utc(-2), max_results=2, next_token=token)).body.data
        rows += data.account_transactions_list.account_transactions_list
        token = data.next_token
        if not token:
            break
    assert len(rows) == data.total_count == 9
    balance = Decimal(0)
    for row in reversed(rows):
        balance += Decimal(row.amount) * (1 if row.transaction_flow == "Income" else -1)
        assert Decimal(row.balance) == balance
    assert balance == Decimal(month.account.sdk.balance().available_cash_amount)


def test_r13_a_lapsed_package_is_expired_and_a_renewal_follows_it(month):
    listed = {p.instance_id: p for p in month.account.sdk.packages()}
    assert month.packages["returned"] not in listed and month.packages["small"] not in listed
    [renewal] = [p for p in listed.values() if p.effective_time == listed[month.packages["renewed"]].expiry_time]
    assert (renewal.status, renewal.remaining_amount) == ("Available", "50000")


def test_r14_the_inbox_can_be_read_and_marked(month):
    def call(action: str, **query):
        answer = Request(f"127.0.0.1:{month.server.api}", month.account.key_id, month.account.secret, action,
                         query=query, version="2017-12-14").send()
        assert answer.status_code == 200, answer.text
        return answer.json()["Data"]

    inbox = call("QueryInStationMessages", PageSize=300)
    messages = inbox["Messages"]["Message"]
    assert inbox["TotalUnread"] == len([m for m in messages if not m["IsRead"]]) and inbox["NextToken"] is None
    assert call("MarkInStationMessagesRead", All="true") == {"Marked": inbox["TotalUnread"], "TotalUnread": 0}


@pytest.fixture
def rich(server, account):
    server.add_credit(account, "1000.00")
    return account


def business(body, code: str):
    assert (body.success, body.code) == (False, code) and body.message, body
    return body.message


def test_r12_a_refund_is_in_full_and_once(server, rich):
    client, instance, token = rich.sdk.bss, rich.sdk.buy().data.instance_id, str(uuid.uuid4())
    asked = client.inquiry_price_refund_instance(bss.InquiryPriceRefundInstanceRequest(
        instance_id=instance, product_code="dm", product_type="", client_token=token)).body
    assert (asked.data.refund_amount, asked.data.currency, asked.data.instance_id) == (13.05, "USD", instance)
    request = bss.RefundInstanceRequest(instance_id=instance, product_code="dm", product_type="", client_token=token,
                                        immediately_release="1")
    done = client.refund_instance(request).body
    assert done.success and isinstance(done.data.order_id, int)
    assert client.refund_instance(request).body.data.order_id == done.data.order_id, "the same token, the same answer"
    assert rich.sdk.balance().available_cash_amount == "1000.00"
    request.client_token = str(uuid.uuid4())
    assert "refunded before" in business(client.refund_instance(request).body, "ResourceStatusError")
    assert rich.sdk.packages() == []
    server.verify_ledger()


def test_r12_no_refund_after_one_mail(server, rich, sender):
    client, instance = rich.sdk.bss, rich.sdk.buy().data.instance_id
    use(rich, sender.address, 201)
    for body in (
        client.refund_instance(bss.RefundInstanceRequest(instance_id=instance, product_code="dm")).body,
        client.inquiry_price_refund_instance(bss.InquiryPriceRefundInstanceRequest(
            instance_id=instance, product_code="dm")).body,
        client.upgrade_resource_package(bss.UpgradeResourcePackageRequest(
            instance_id=instance, specification="500000")).body,
    ):
        assert "1 of its mails" in business(body, "ResourceStatusError")
    assert [p.remaining_amount for p in rich.sdk.packages()] == ["49999"]
    assert rich.sdk.balance().available_cash_amount == "986.95"


def test_r12_somebody_elses_package_is_none(server, rich):
    other = server.create_account("Other")
    server.add_credit(other, "1000")
    theirs, client = other.sdk.buy().data.instance_id, rich.sdk.bss
    for instance in (theirs, "DMBAG-1"):
        for body in (
            client.refund_instance(bss.RefundInstanceRequest(instance_id=instance, product_code="dm")).body,
            client.renew_resource_package(bss.RenewResourcePackageRequest(
                instance_id=instance, duration=6, pricing_cycle="Month")).body,
            client.upgrade_resource_package(bss.UpgradeResourcePackageRequest(
                instance_id=instance, specification="500000")).body,
        ):
            assert instance in business(body, "ResourceNotExists")
    assert len(other.sdk.packages()) == 1 and rich.sdk.balance().available_cash_amount == "1000.00"


def test_r08_renewal_and_upgrade_answer_with_instance_and_order(server, rich):
    client = rich.sdk.bss
    first, second = rich.sdk.buy().data.instance_id, rich.sdk.buy().data.instance_id
    for body in (
        client.renew_resource_package(bss.RenewResourcePackageRequest(
            instance_id=first, duration=6, pricing_cycle="Month")).body,
        client.upgrade_resource_package(bss.UpgradeResourcePackageRequest(
            instance_id=second, specification="1000000")).body,
    ):
        assert body.success and empty_fields(body) == set()
        assert body.order_id == body.data.order_id and body.data.instance_id not in (first, second)
    again = client.renew_resource_package(bss.RenewResourcePackageRequest(
        instance_id=first, duration=6, pricing_cycle="Month")).body
    business(again, "ResourceStatusError")
    same = client.upgrade_resource_package(bss.UpgradeResourcePackageRequest(
        instance_id=first, specification="50000")).body
    business(same, "NotApplicable")
    assert rich.sdk.balance().available_cash_amount == str(Decimal("1000") - 2 * Decimal("13.05") - Decimal("13.05")
                                                           - (Decimal("230.55") - Decimal("13.05")))
    server.verify_ledger()


def test_every_question_is_answered_on_every_engine(server, rich, sender):
    """The typed answers above come from one engine; the same questions here, with less to say."""
    use(rich, sender.address, 210)
    packages = {name: rich.sdk.buy().data.instance_id for name in ("renewed", "returned")}
    use(rich, sender.address, 10)
    refund = rich.sdk.bss.refund_instance(bss.RefundInstanceRequest(
        instance_id=packages["returned"], product_code="dm")).body
    other = server.create_account("Unused")
    server.add_credit(other, "20")
    unused = other.sdk.buy().data.instance_id
    now = datetime.datetime.now(ZoneInfo(zone_at_noon()))
    mine = Month(server, rich, now, packages, refund.data.order_id)
    theirs = Month(server, other, now, {"renewed": unused}, 1)
    for action, (request, _, _) in QUESTIONS.items():
        asked = theirs if action in ("inquiry_price_refund_instance", "get_resource_package_price") else mine
        body = getattr(asked.client, action)(request(asked)).body
        assert body.success, (action, body.message)
    bills = items(rich.sdk.bss.query_bill(bss.QueryBillRequest(billing_cycle=mine.cycle)).body)
    assert sorted(row.item for row in bills) == ["Refund", "SubscriptionOrder", "SubscriptionOrder"]
    [line] = items(rich.sdk.bss.query_instance_bill(bss.QueryInstanceBillRequest(
        billing_cycle=mine.cycle, subscription_type="PayAsYouGo")).body)
    assert (line.usage, line.deducted_by_resource_package, line.pretax_amount) == ("20", "10", 0)


@pytest.mark.parametrize("cycle", ["2026", "2026-13", "26-11", "2026-11-01", "x"])
def test_r10_a_malformed_cycle_is_refused(account, cycle):
    with pytest.raises(ClientException) as refused:
        account.sdk.bss.query_bill(bss.QueryBillRequest(billing_cycle=cycle))
    assert (refused.value.code, refused.value.status_code) == ("InvalidParameter", 400)
