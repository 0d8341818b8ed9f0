"""Top-up by Stripe's webhook, signed by Stripe's own library, as the customer and the operator see it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from stripe import Webhook, WebhookSignature

pytestmark = pytest.mark.e2e

SECRET = "whsec_end_to_end_secret_one"
NEXT_SECRET = "whsec_end_to_end_secret_two"


@pytest.fixture(scope="module")
def server(make_server):
    return make_server(billing={"currency": "USD"}, payment={"stripe_secrets": [SECRET, NEXT_SECRET]}).start()


def session(account_id: str, tag: str, amount: int = 10_000, event: str = "a", currency: str = "usd") -> dict:
    return {"id": f"evt_{tag}_{event}", "object": "event", "livemode": True, "type": "checkout.session.completed",
            "data": {"object": {"id": f"cs_{tag}", "object": "checkout.session", "amount_total": amount,
                                "client_reference_id": account_id, "currency": currency, "metadata": {},
                                "customer_details": {"name": "Zoë 王"}, "mode": "payment",
                                "payment_intent": f"pi_{tag}", "payment_status": "paid"}}}


def intent(account_id: str, tag: str, amount: int = 10_000) -> dict:
    return {"id": f"evt_{tag}_intent", "object": "event", "livemode": True, "type": "payment_intent.succeeded",
            "data": {"object": {"id": f"pi_{tag}", "object": "payment_intent", "amount_received": amount,
                                "currency": "usd", "metadata": {"account_id": account_id}}}}


def post(server, body: str, signature: str | None) -> requests.Response:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if signature is not None:
        headers["Stripe-Signature"] = signature
    return requests.post(f"http://127.0.0.1:{server.api}/webhooks/stripe", data=body.encode(), headers=headers, timeout=30)


def deliver(server, event: dict, secret: str = SECRET, at: int | None = None) -> requests.Response:
    body = json.dumps(event, indent=2, ensure_ascii=False)
    return post(server, body, WebhookSignature.generate_signature_header(body, secret, at))


def booked(response: requests.Response) -> bool:
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["received"] is True
    return answer["booked"]


def assert_refused(response: requests.Response, status: int, code: str):
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text


def balance(account) -> Decimal:
    return Decimal(account.sdk.balance().available_cash_amount.replace(",", ""))


def test_a_payment_is_on_the_balance_once_however_often_it_comes(server, account):
    event = session(account.account_id, account.tag)
    assert booked(deliver(server, event))
    assert balance(account) == 100
    assert not booked(deliver(server, event))
    assert not booked(deliver(server, intent(account.account_id, account.tag)))
    assert not booked(deliver(server, session(account.account_id, account.tag, event="again")))
    assert balance(account) == 100
    server.verify_ledger()


def test_sixteen_deliveries_at_once_count_once(server, account):
    events = [session(account.account_id, account.tag), intent(account.account_id, account.tag)] * 8
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda event: booked(deliver(server, event)), events))
    assert answers.count(True) == 1
    assert balance(account) == 100
    server.verify_ledger()


def test_either_secret_is_good_while_one_replaces_the_other(server, account):
    assert booked(deliver(server, session(account.account_id, account.tag), NEXT_SECRET))
    event = session(account.account_id, account.tag + "x")
    assert_refused(deliver(server, event, "whsec_end_to_end_secret_other"), 400, "SignatureMismatch")
    assert balance(account) == 100


def test_what_stripes_library_refuses_is_refused(server, account):
    body = json.dumps(session(account.account_id, account.tag))
    now = int(time.time())
    good = WebhookSignature.generate_signature_header(body, SECRET, now)
    assert Webhook.construct_event(body, good, SECRET)["id"] == f"evt_{account.tag}_a"
    assert_refused(post(server, body, None), 400, "SignatureMissing")
    assert_refused(post(server, body, good.replace("v1=", "v0=")), 400, "SignatureMalformed")
    assert_refused(post(server, body.replace("10000", "90000"), good), 400, "SignatureMismatch")
    for seconds, code in [(-330, "SignatureStale"), (330, "SignatureFuture")]:
        other = WebhookSignature.generate_signature_header(body, SECRET, now + seconds)
        assert_refused(post(server, body, other), 400, code)
    assert balance(account) == 0
    assert booked(post(server, body, good))
    assert balance(account) == 100


def test_a_payment_that_cannot_be_booked_is_not_taken_and_writes_no_line(server, account):
    own, tag = account.account_id, account.tag
    for event, code in [
        (session("4711", tag), "AccountUnknown"),
        (session("nobody", tag), "AccountMalformed"),
        (session("", tag), "AccountMissing"),
        (session(own, tag, currency="eur"), "CurrencyMismatch"),
        (session(own, tag, amount=0), "AmountInvalid"),
        (session(own, tag, amount=-100), "AmountInvalid"),
        (session(own, tag, amount=1.5), "AmountInvalid"),
        (session(own, tag, amount="100"), "AmountInvalid"),
        (session(own, tag, amount=1e30), "AmountInvalid"),
        (session(own, tag, amount=2**63 - 1), "AmountTooLarge"),
    ]:
        assert_refused(deliver(server, event), 422, code)
    assert balance(account) == 0
    server.verify_ledger()


def test_money_that_goes_back_is_left_to_the_operator(server, account):
    assert booked(deliver(server, session(account.account_id, account.tag)))
    refund = {"id": f"evt_{account.tag}_refund", "object": "event", "type": "charge.refunded", "data": {"object": {
        "id": f"ch_{account.tag}", "amount": 10_000, "amount_refunded": 10_000, "currency": "usd",
        "payment_intent": f"pi_{account.tag}", "metadata": {"account_id": account.account_id}}}}
    assert not booked(deliver(server, refund))
    assert balance(account) == 100


def test_the_api_beside_it_answers_as_before(server, account):
    assert account.sdk.summary() is not None
    other = requests.post(f"http://127.0.0.1:{server.api}/webhooks/other", timeout=10)
    assert (other.status_code, other.json()["Code"]) == (404, "InvalidPath.NotFound")


def test_without_a_secret_there_is_no_webhook(make_server):
    plain = make_server().start()
    assert_refused(deliver(plain, session("1", "1")), 404, "PaymentNotConfigured")
    plain.stop()
