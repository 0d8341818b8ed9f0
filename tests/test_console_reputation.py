"""The Reputation pages in Chromium, with and without JavaScript: a pause, what it says, and its end by an operator."""

import shutil

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from harness.waiting import wait_until
from test_console_browser import browser, chromium, click, console, follow, log_in, press, shot, text  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ENGINES = ["sqlite"]  # the queries behind these pages run on both in the store's own tests
LADDER = [10, 20, 40, 80]
PAUSE_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def server(make_server, dns, peer, mx_port):
    return make_server(
        dns.address, delivery={"hostname": "out.indicia.test", "port": mx_port, "retry_pauses_seconds": [1, 2]},
        quota={"version": "small", "ladder": LADDER, "initial_level": 2, "recipients_min": 20}).start()


@pytest.fixture
def operator(server, account):
    email = f"root-{account.tag}@operator.test"
    return email, server.run_json("operator", "create", "--email", email)["console_password"]


def send(account, sender, good: int, bad: int = 0):
    kinds = ["good"] * good + ["nobody"] * bad
    to = [f"{kind}-{number}-{account.tag}@peer.test" for number, kind in enumerate(kinds)]
    account.sdk.send(sender.address, ",".join(to))


def pictures(driver) -> dict[str, str]:
    """Of every picture that is told to screen readers: its title and its description."""
    found = {}
    for svg in driver.find_elements(By.CSS_SELECTOR, "main svg[role=img]"):
        title, words = (svg.find_element(By.CSS_SELECTOR, f":scope > {name}") for name in ("title", "desc"))
        found[title.get_attribute("textContent")] = words.get_attribute("textContent")
    return found


def test_r20_r23_a_new_account_sees_its_ladder_and_sets_its_ceiling(server, account, chromium):
    log_in(chromium, server, account.email, account.console_password)
    follow(chromium, "Reputation")
    page = text(chromium)
    assert "Level 2 of 3" in page and "40 mails a day" in page and "No mail has been judged yet" in page
    assert "If the week ended now: kept at 40 mails a day, because not enough data" in page
    told = pictures(chromium)
    assert told["The ladder of levels"] == "Level 2 of 3: 40 mails a day"
    for name in ("Invalid addresses", "Spam reports", "Called spam by providers", "Arrival"):
        assert "Nothing yet" in told[f"{name} against the lines"]
    Select(chromium.find_element(By.NAME, "level")).select_by_value("3")
    press(chromium, "Save")
    page = text(chromium)
    assert "The ceiling was saved" in page and "level 3, 80 mails a day" in page
    assert "your own ceiling is level 3" in pictures(chromium)["The ladder of levels"]
    shot(chromium, f"reputation-new-{chromium.label}")


def test_r22_a_pause_is_on_every_page_and_an_operator_ends_it(server, account, sender, operator, chromium):
    send(account, sender, good=16, bad=8)
    wait_until(lambda: account.sdk.summary().user_status == 4, "the account is paused", PAUSE_TIMEOUT_S, 0.5)
    log_in(chromium, server, account.email, account.console_password)
    for label in ("Overview", "Mail log", "Domains", "Reputation"):
        follow(chromium, label)
        page = text(chromium)
        assert "Sending is paused since" in page and "33.33 % (8 of 24)" in page and "stop the campaign" in page, label
    assert "Pauses sending" in pictures(chromium)["Invalid addresses against the lines"]
    shot(chromium, f"reputation-paused-{chromium.label}")
    follow(chromium, "By domain, sender address and tag")
    follow(chromium, sender.address)
    assert f"from {sender.address}" in text(chromium)

    press(chromium, "Sign out")
    log_in(chromium, server, *operator)
    chromium.get(f"{console(server)}/operator/reputation?show=paused")
    assert account.email in text(chromium) and "by the brake" in text(chromium)
    shot(chromium, f"operator-reputation-{chromium.label}")
    chromium.get(f"{console(server)}/accounts/{account.account_id}/operator/reputation")
    chromium.find_element(By.ID, "release-reason").send_keys("the list is thrown away")
    press(chromium, "Release sending")
    assert "Sending is released" in text(chromium) and "Pause sending" in text(chromium)
    assert account.sdk.summary().user_status == 0
    daily = chromium.find_element(By.ID, "quota-daily")
    assert daily.get_attribute("value") == "20", "one level below"
    daily.clear()
    daily.send_keys("40")
    chromium.find_element(By.ID, "quota-reason").send_keys("a new list")
    press(chromium, "Set the quota")
    assert "The quota was set" in text(chromium)
    send(account, sender, good=1)
    follow(chromium, "The account's reputation")
    page = text(chromium)
    assert "Sending is paused since" not in page and "what was before counts for nothing" in page
    assert "the list is thrown away" in page


def test_every_reputation_page_fits_a_phone(server, account, sender, operator):
    send(account, sender, good=24)
    driver = browser(True, 390, 844)
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                               {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
        log_in(driver, server, *operator)
        own = f"/accounts/{account.account_id}"
        for path in (f"{own}/reputation", f"{own}/reputation/mail", f"{own}/reputation/history",
                     f"{own}/operator/reputation", "/operator/reputation", "/operator/reputation/report"):
            driver.get(console(server) + path)
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 390, f"{path} is {wide} pixels wide"
    finally:
        driver.quit()
        shutil.rmtree(driver.profile, ignore_errors=True)
