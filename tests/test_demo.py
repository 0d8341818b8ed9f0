"""`indicia demo`: what it prints is pasted, and works."""

import re
import subprocess
import sys
import time

import pytest
import requests

from harness.demo import Demo
from harness.server import BINARY
from harness.visitor import Visitor
from harness.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    made = Demo("--data", tmp_path_factory.mktemp("demo"))
    yield made
    made.stop()


@pytest.fixture
def visitor(demo):
    """Logged in to the demo's console as its account."""
    made = Visitor(demo.field("Console"))
    made.log_in(*demo.login())
    return made


def inbox_has(visitor, subject: str):
    return wait_until(lambda: subject in (page := visitor.page("/demo/inbox").text) and page,
                      f"the inbox shows `{subject}`")


def test_the_first_mail_was_delivered_and_charged(demo, visitor):
    assert re.match(r"\d+, delivered: 250", demo.field("First mail"))
    assert "Your first mail" in inbox_has(visitor, "Your first mail")
    assert "Your first mail" in visitor.page().text or "1,999" in visitor.page().text


def test_the_api_call_works_when_pasted_twice(demo, visitor):
    for _ in range(2):
        done = subprocess.run(["bash", "-c", demo.snippet("API call")], capture_output=True, text=True, timeout=30)
        assert '"EnvId"' in done.stdout, done.stdout + done.stderr
    inbox_has(visitor, "Hello from the API")


def test_the_smtp_call_works_when_pasted(demo, visitor):
    done = subprocess.run(["bash", "-c", demo.snippet("SMTP call")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "sent" in done.stdout, done.stderr
    inbox_has(visitor, "Hello over SMTP")


def test_the_command_line_works_beside_it_when_pasted(demo):
    command = demo.field("Commands")
    done = subprocess.run(["bash", "-c", f'PATH="{BINARY.parent}:$PATH"; {command}'], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and demo.login()[0] in done.stdout, done.stderr


def test_the_sdk_snippet_works_when_pasted(demo, visitor):
    done = subprocess.run([sys.executable, "-c", demo.snippet("SDK")], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"\d+\n", done.stdout), done.stderr
    inbox_has(visitor, "Hello from the SDK")


def test_operator_sees_the_account(demo):
    operator = Visitor(demo.field("Console"))
    answer = operator.log_in(*demo.login("Operator"))
    assert answer.status_code == 200 and "Accounts" in answer.text


def test_a_demo_goes_on_from_its_folder(tmp_path):
    first = Demo("--data", tmp_path / "kept")
    login = first.login()
    assert first.stop() == 0
    second = Demo("--data", tmp_path / "kept")
    assert second.login() == login and "delivered" in second.field("First mail")
    assert second.stop() == 0


def test_without_a_folder_nothing_is_left(demo):
    passing = Demo()
    folder = passing.field("Data")
    assert passing.field("Console") != demo.field("Console"), "ports that are taken are left alone"
    assert passing.stop() == 0
    assert not subprocess.run(["test", "-e", folder]).returncode == 0


@pytest.mark.parametrize("advance", ["yesterday", "-1d", "", "7", "99999999d"])
def test_the_clock_refuses_what_it_does_not_understand(demo, advance):
    answer = requests.post(demo.field("Console") + "/demo/clock", data={"advance": advance}, timeout=10)
    assert 400 <= answer.status_code < 500


def test_the_clock_moves_forward_by_a_post_and_packages_lapse(demo, visitor):
    """The last test of the module: afterwards it is half a year later."""
    command = demo.field("Clock")
    assert subprocess.run(["bash", "-c", command + " -s -o /dev/null -w '%{http_code}'"], capture_output=True,
                          text=True, timeout=30).stdout in ("200", "303")
    done = subprocess.run(["bash", "-c", demo.snippet("SMTP call")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, "mail goes on at the later time"
    for _ in range(7):
        answer = requests.post(demo.field("Console") + "/demo/clock", data={"advance": "30d"}, timeout=10)
        assert answer.status_code == 200
        time.sleep(0.1)
    later = Visitor(demo.field("Console"))
    page = later.log_in(*demo.login())
    packages = re.search(r'href="(/[^"]*resource-packages)"', page.text)[1]
    assert "Expired" in later.page(packages).text and "lapsed" in later.page(packages).text.lower()
