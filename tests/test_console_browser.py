"""The console in Chromium, with and without JavaScript, and its cookies and forms from outside the browser."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from harness.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ENGINES = ["sqlite"]  # pages are made from the same queries that the other suites run on both
SCREENSHOTS = Path(__file__).parents[1] / "target/screenshots"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")


def console(server) -> str:
    return f"http://127.0.0.1:{server.console}"


def browser(javascript: bool, width: int = 1400, height: int = 1000):
    profile = tempfile.mkdtemp(prefix="indicia-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    made = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    made.profile = profile
    return made


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
def chromium(request):
    made = browser(request.param)
    made.label = "js" if request.param else "nojs"
    yield made
    made.quit()
    shutil.rmtree(made.profile, ignore_errors=True)


def shot(driver, name: str):
    """The whole page as a picture, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def text(driver) -> str:
    return driver.find_element(By.TAG_NAME, "body").text


def is_gone(element) -> bool:
    """Whether the page of an element has been replaced. In the very moment of it the driver has other words than later."""
    try:
        element.is_enabled()
        return False
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        if "does not belong to the document" in str(error):
            return True
        raise


def click(driver, element):
    """Clicks what leads to another page, and waits until that page has replaced this one."""
    before = driver.find_element(By.TAG_NAME, "html")
    element.click()
    WebDriverWait(driver, 20).until(lambda _: is_gone(before))
    WebDriverWait(driver, 20).until(lambda d: d.find_elements(By.CSS_SELECTOR, "body *"))


def follow(driver, label: str):
    """Clicks the link that carries `label`."""
    links = [a for a in driver.find_elements(By.TAG_NAME, "a") if label.lower() in a.text.lower() and a.is_displayed()]
    assert links, f"no link `{label}` on {driver.current_url}: {[a.text for a in driver.find_elements(By.TAG_NAME, 'a')]}"
    click(driver, links[0])


def press(driver, label: str):
    buttons = [b for b in driver.find_elements(By.CSS_SELECTOR, "button, input[type=submit]")
               if label.lower() in (b.text or b.get_attribute("value") or "").lower()]
    assert buttons, f"no button `{label}` on {driver.current_url}"
    click(driver, buttons[0])


def log_in(driver, server, email: str, password: str):
    driver.get(f"http://127.0.0.1:{server.console}/")
    WebDriverWait(driver, 10).until(lambda d: d.find_elements(By.NAME, "password"))
    driver.find_element(By.NAME, "email").send_keys(email)
    driver.find_element(By.NAME, "password").send_keys(password)
    click(driver, driver.find_element(By.CSS_SELECTOR, "form button"))


@pytest.fixture
def used(server, account, sender, peer):
    """An account with money, a package, and mails that were delivered, bounced, and named like an attack."""
    server.add_credit(account, "500")
    assert account.sdk.buy().success
    for name in ("many", "more"):
        account.sdk.send(sender.address, ",".join(f"{name}{i}@peer.test" for i in range(98)))
    to = f"seen-{account.tag}@peer.test"
    account.sdk.send(sender.address, to, subject="<script>alert(1)</script> & Grüße")
    nobody = f"nobody-{account.tag}@peer.test"
    account.sdk.send(sender.address, nobody, subject="To nobody")
    account.sdk.send(sender.address, ",".join(f"paid{i}@peer.test" for i in range(10)), subject="Paid by a package")
    server.wait_outcome(account, to, status=0)
    server.wait_outcome(account, nobody, status=2)
    return account


def test_log_in_overview_packages_and_purchase(server, used, chromium):
    log_in(chromium, server, used.email, used.console_password)
    assert "quota" in text(chromium).lower() and "2,000" in text(chromium)
    shot(chromium, f"overview-{chromium.label}")

    for label in ("Billing Management", "Manage Reserved Instances", "Resource Packages"):
        assert label in text(chromium)
    follow(chromium, "Resource Packages")
    page = text(chromium)
    assert "DirectMail" in page and "DMBAG-" in page and "50,000" in page
    shot(chromium, f"packages-{chromium.label}")

    instance = re.search(r"DMBAG-[\w-]+", page)[0]
    follow(chromium, instance)
    assert instance in text(chromium) and "49,992" in text(chromium)
    shot(chromium, f"package-{chromium.label}")

    before = len(used.sdk.packages())
    follow(chromium, "Resource Packages")
    follow(chromium, "Buy a package")
    shot(chromium, f"purchase-{chromium.label}")
    choice = chromium.find_element(By.CSS_SELECTOR, "input[name=specification][value='50000']")
    choice.find_element(By.XPATH, "./ancestor::label").click()
    press(chromium, "Continue")
    page = text(chromium)
    assert "USD 13.05" in page and "neither cancelled nor refunded" in page
    shot(chromium, f"confirm-{chromium.label}")
    confirm = chromium.current_url
    press(chromium, "Buy for")
    assert len(used.sdk.packages()) == before + 1
    assert "Receipt" in text(chromium)
    shot(chromium, f"receipt-{chromium.label}")
    chromium.back()
    if chromium.current_url == confirm:
        press(chromium, "Buy for")
    assert len(used.sdk.packages()) == before + 1, "the same form sent twice buys once"


def test_mail_log_shows_one_timeline_per_mail(server, used, chromium):
    log_in(chromium, server, used.email, used.console_password)
    follow(chromium, "Mail log")
    page = text(chromium)
    assert "<script>alert(1)</script>" in page, "shown as text"
    assert "To nobody" in page
    shot(chromium, f"mail-log-{chromium.label}")
    follow(chromium, "To nobody")
    page = text(chromium)
    assert "550" in page and "User unknown" in page and "free" in page.lower()
    shot(chromium, f"mail-{chromium.label}")


def test_narrow_and_dark_are_readable(server, used):
    for name, width in (("narrow", 400), ("wide", 1400)):
        driver = browser(True, width, 900)
        try:
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                   {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
            log_in(driver, server, used.email, used.console_password)
            follow(driver, "Resource Packages") if name == "wide" else None
            shot(driver, f"dark-{name}")
            overflow = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 1, "the page scrolls sideways"
        finally:
            driver.quit()
            shutil.rmtree(driver.profile, ignore_errors=True)


def test_session_cookie_is_httponly_and_samesite(server, account):
    visitor = Visitor(console(server))
    answer = visitor.log_in(account.email, account.console_password)
    assert answer.status_code == 200
    set_cookies = [r.headers["Set-Cookie"] for r in (*answer.history, answer) if "Set-Cookie" in r.headers]
    assert set_cookies
    for cookie in set_cookies:
        assert "httponly" in cookie.lower() and re.search("samesite=(lax|strict)", cookie.lower())
    headers = visitor.page().headers
    assert "script" in headers["Content-Security-Policy"] or "default-src" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_wrong_password_opens_nothing(server, account):
    visitor = Visitor(console(server))
    answer = visitor.log_in(account.email, "wrong")
    assert answer.status_code in (200, 401, 403) and "password" in answer.text.lower()
    assert 'name="password"' in visitor.page().text


def test_a_form_without_or_with_a_forged_token_is_403(server, account):
    visitor = Visitor(console(server))
    visitor.log_in(account.email, account.console_password)
    page = visitor.page()
    action, fields = visitor.form(page.text)
    assert fields, "every POST form carries a token"
    target = requests.compat.urljoin(page.url, action)
    assert visitor.session.post(target, data={}, timeout=20).status_code == 403
    forged = {name: "0" * len(value) for name, value in fields.items()}
    assert visitor.session.post(target, data=forged, timeout=20).status_code == 403


def test_pages_of_another_account_do_not_exist(server, used):
    other = server.create_account("Nosy")
    visitor = Visitor(console(server))
    visitor.log_in(used.email, used.console_password)
    instance = used.sdk.packages()[0].instance_id
    links = re.findall(r'href="(/[^"]+)"', visitor.page().text)
    packages = visitor.page(next(link for link in links if link.endswith("resource-packages")))
    paths = set(re.findall(r'href="(/[^"?#]*%s[^"?#]*)"' % instance, packages.text))
    paths |= {requests.compat.urlparse(packages.url).path, requests.compat.urlparse(visitor.page().url).path}
    assert any(instance in path for path in paths)
    assert paths, "the instance links to its own page"
    nosy = Visitor(console(server))
    nosy.log_in(other.email, other.console_password)
    for path in paths:
        assert visitor.page(path).status_code == 200
        assert nosy.page(path).status_code == 404


def test_pages_need_a_login(server):
    visitor = Visitor(console(server))
    assert 'name="password"' in visitor.page("/").text
    answer = requests.post(f"http://127.0.0.1:{server.console}/demo/clock", data={"advance": "7d"}, timeout=10)
    assert answer.status_code in (403, 404), "only the demo has a clock"
