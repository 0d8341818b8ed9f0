"""The command line: help, exit statuses, configuration errors, and commands beside a running server."""

import json
import os
import pwd
import re
import subprocess

import pytest

from harness.sdk import ClientException
from harness.server import BINARY
from harness.waiting import wait_until

pytestmark = pytest.mark.e2e

ME = f"{pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"

COMMANDS = ["demo", "serve", "account create", "account credit", "operator create", "quota set", "quota review", "quota explain", "quota pause", "quota release", "quota ceiling", "domain verify",
            "package list", "message show", "ledger verify", "config check", "ip assign", "ip list", "ip warmup", "ip release"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command):
    done = subprocess.run([BINARY, *command.split(), "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "Usage" in done.stdout and len(done.stdout) > 60


@pytest.mark.parametrize("arguments", [
    ["frobnicate"], ["account"], ["account", "create"], ["account", "create", "--name", "x"], ["quota", "set", "1"],
    ["account", "credit", "1"], ["message", "show"], ["domain", "verify", "1"], ["serve", "--nonsense"],
    ["package", "list"], ["account", "credit", "not-a-number", "1"]])
def test_wrong_usage_is_exit_status_2(arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and done.stderr and not done.stdout


class TestConfiguration:
    ENGINES = ["sqlite"]

    @pytest.fixture
    def installation(self, make_server):
        return make_server()

    def test_a_good_configuration_passes(self, installation):
        installation.run("config", "check")

    @pytest.mark.parametrize("section,content,named", [
        ("api", {"listn": "127.0.0.1:1"}, "listn"), ("nonsense", {"a": 1}, "nonsense"),
        ("api", {"listen": "not an address"}, "listen"), ("delivery", {"port": 700000}, "port"),
        ("store", {"url": "mysql://x"}, "store.url"), ("billing", {"time_zone": "Mars/Olympus"}, "Mars/Olympus"),
        ("submission", {"trusted": [{"network": "300.1.1.1/8", "account_id": "1"}]}, "network"),
        ("sms", {"gateway": "pigeon"}, "gateway")])
    def test_a_bad_configuration_is_exit_status_2_and_named(self, make_server, section, content, named):
        installation = make_server(None, **{section: content})
        for command in (["config", "check"], ["serve"], ["ledger", "verify"]):
            done = installation.run(*command, expect=2)
            assert named in done.stderr, done.stderr

    def test_a_missing_configuration_file_is_exit_status_2(self, tmp_path):
        done = subprocess.run([BINARY, "config", "check", "--config", tmp_path / "none.toml"], capture_output=True,
                              text=True, timeout=20)
        assert done.returncode == 2 and "none.toml" in done.stderr

    def test_toml_that_does_not_parse_names_the_line(self, installation):
        installation.config_path.write_text("data_dir = \n")
        done = installation.run("config", "check", expect=2)
        assert "1" in done.stderr

    def test_the_environment_overrides_the_file(self, installation):
        done = installation.run("config", "check", env={"INDICIA_DELIVERY__PORT": "notaport"}, expect=2)
        assert "port" in done.stderr.lower()
        installation.run("config", "check", env={"INDICIA_DELIVERY__PORT": "2600"})
        done = installation.run("config", "check", env={"INDICIA_DELIVERY__NONSENSE": "1"}, expect=2)
        assert "nonsense" in done.stderr.lower()

    def test_an_occupied_port_is_an_error_that_names_it(self, make_server):
        first = make_server().start()
        second = make_server(None, api={"listen": f"127.0.0.1:{first.api}"})
        done = second.run("serve", expect=None)
        assert done.returncode in (1, 2) and str(first.api) in done.stderr
        first.stop()


def test_commands_work_without_a_running_server(make_server):
    server = make_server()
    account = server.create_account("Offline")
    server.add_credit(account, "12.34")
    server.set_quota(account, 500)
    assert json.loads(server.run("package", "list", account.account_id, "--json").stdout) in ([], {"packages": []})
    server.verify_ledger()
    server.start()
    assert account.sdk.balance().available_cash_amount == "12.34"
    assert account.sdk.summary().daily_quota == 500
    server.stop()


@pytest.mark.parametrize("arguments", [["ledger", "verify"], ["message", "show", "5"], ["queue", "list"],
                                       ["package", "list", "5"], ["account", "credit", "5", "1"]])
def test_a_command_that_finds_no_database_makes_none_and_says_so(arguments, tmp_path):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.returncode == 1 and "no database" in done.stderr and "--config" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_is_made_is_its_owners_alone(tmp_path):
    done = subprocess.run([BINARY, "operator", "create", "--email", "o@customer.test", "--json"],
                          capture_output=True, text=True, timeout=20, cwd=tmp_path)
    folder = tmp_path / "indicia-data"
    assert done.returncode == 0 and (folder / "indicia.db").exists()
    assert folder.stat().st_mode & 0o077 == 0


def test_account_create_prints_one_json_object(make_server):
    server = make_server()
    made = json.loads(server.run("account", "create", "--name", "Shape", "--email", "shape@customer.test",
                                 "--phone", "+861234567", "--zone", "Europe/Berlin", "--json").stdout)
    assert {"account_id", "access_key_id", "access_key_secret", "console_password"} <= set(made)
    assert re.fullmatch(r"\d+", str(made["account_id"]))
    operator = json.loads(server.run("operator", "create", "--email", "op@host.test", "--json").stdout)
    assert operator["operator_id"] and operator["console_password"]
    for again in (["account", "create", "--name", "Shape", "--email", "shape@customer.test"],
                  ["operator", "create", "--email", "op@host.test"]):
        assert "@" in server.run(*again, "--json", expect=1).stderr


@pytest.mark.parametrize("arguments,status", [
    (["account", "credit", "1", "10"], 1), (["quota", "set", "1", "10", "--reason", "x"], 1),
    (["domain", "verify", "1", "nowhere.test"], 1), (["package", "list", "1"], 1), (["message", "show", "1"], 1)])
def test_unknown_ids_are_exit_status_1_with_a_reason(server, arguments, status):
    done = server.run(*arguments, expect=status)
    assert done.stderr.strip() and not done.stdout.strip()


@pytest.mark.parametrize("amount", ["ten", "1.2.3", "0.0000001", "0.005", "1e3", "", "99999999999999999999"])
def test_amounts_are_exact_or_refused(server, account, amount):
    done = server.run("account", "credit", account.account_id, amount, expect=None)
    assert done.returncode in (1, 2) and done.stderr
    assert account.sdk.balance().available_cash_amount == "0.00"


@pytest.mark.parametrize("arguments", [["account", "create", "--name", "Z", "--email", "z@x.test", "--zone", "Mars/X"],
                                       ["account", "create", "--name", "Z", "--email", "no-at-sign"]])
def test_bad_account_details_are_refused(server, arguments):
    done = server.run(*arguments, "--json", expect=None)
    assert done.returncode in (1, 2) and done.stderr


def test_what_a_command_changes_holds_for_the_running_server_at_once(server, account, sender):
    server.set_quota(account, 1)
    assert account.sdk.summary().daily_quota == 1
    account.sdk.send(sender.address, "first@peer.test")
    with pytest.raises(ClientException):
        account.sdk.send(sender.address, "second@peer.test")
    server.set_quota(account, 10)
    account.sdk.send(sender.address, "second@peer.test")


def test_a_message_is_shown_as_one_timeline(server, account, sender, peer):
    to = f"timeline-{account.tag}@peer.test"
    env_id = account.sdk.send(sender.address, to, subject="Timeline")
    peer.wait_for(to)
    server.wait_outcome(account, to, status=0)
    shown = server.message_show(env_id)
    for part in (env_id, to, sender.address, "Timeline", "free", "250"):
        assert part.lower() in shown.lower(), part


@pytest.mark.parametrize("arguments,sentence", [
    (["account", "credit-limit", "1", "-5", "--reason", "x"], "-5 is below zero"),
    (["package", "buy", "1", "--mails", "-1"], "-1"), (["audit", "list", "--limit", "-1"], "from 1 to 1000000"),
    (["notice", "list", "1", "--limit", "0"], "from 1 to 1000000"), (["queue", "list", "--limit", "-3"], "from 1 to 1000000"),
    (["account", "show", "-5"], "'-5' is not an account id"), (["message", "show", "-5"], "'-5' is not a message id"),
    (["quota", "set", "1", "-5", "--reason", "x"], "from 0 to"),
    (["ledger", "balance", "1", "--as-of", "9999-12-31T00:00:00Z"], "at the latest 9999-12-30T22:00:00Z"),
    (["package", "refund", "1", "X", "--idempotency-key", "k" * 257], "1 to 256")])
def test_what_is_out_of_range_is_told_its_range(server, arguments, sentence):
    done = server.run(*arguments, expect=None)
    assert done.returncode in (1, 2) and sentence in done.stderr, done.stderr
    assert "unexpected argument" not in done.stderr


class TestOutput:
    """What is printed to nobody, or to a device that takes nothing."""
    ENGINES = ["sqlite"]

    @pytest.fixture(scope="class")
    def printing(self, make_server):
        """An installation, and commands that print something of it."""
        office = make_server()
        account = office.create_account("Printer")
        account_id = account.account_id
        office.add_credit(account, "100")
        office.run("package", "buy", account_id, "--mails", "50000")
        office.run("domain", "verify", account_id, "printer.test")
        month = office.now().strftime("%Y-%m")
        return office, [
            ["config", "check"], ["account", "show", account_id], ["account", "list"], ["account", "contact", account_id],
            ["account", "credit", account_id, "1"], ["account", "adjust", account_id, "--money", "1", "--reason", "x"],
            ["account", "credit-limit", account_id, "1", "--reason", "x"], ["quota", "set", account_id, "10", "--reason", "x"],
            ["domain", "list", account_id], ["domain", "verify", account_id, "printer.test"],
            ["package", "list", account_id], ["package", "list", account_id, "--json"],
            ["package", "buy", account_id, "--mails", "50000"], ["bill", "list", account_id, "--month", month],
            ["bill", "make"], ["bill", "statement", account_id, "--month", month], ["price", "list"],
            ["notice", "list", account_id], ["audit", "list"], ["queue", "list"], ["ledger", "verify"],
            ["ledger", "balance", account_id], ["ledger", "balance", account_id, "--json"], ["ledger", "lines", account_id],
            ["operator", "create", "--email", "OPERATOR@host.test"],
            ["account", "create", "--name", "New", "--email", "NEW@customer.test"]]

    def run(self, printing, redirection: str):
        office, commands = printing
        for number, command in enumerate(commands):
            text = " ".join(f"'{part}'" for part in command).replace("OPERATOR", f"o{redirection[0]}{number}")
            text = text.replace("NEW", f"n{redirection[0]}{number}").replace(">", "g").replace("|", "p")
            line = f"'{BINARY}' {text} --config '{office.config_path}' {redirection}"
            done = subprocess.run(["bash", "-c", line + "; exit ${PIPESTATUS[0]}"], capture_output=True, text=True, timeout=60)
            assert "panicked" not in done.stderr, (command, done.stderr)
            yield command, done

    def test_a_device_that_is_full_is_a_failure_with_a_sentence(self, printing):
        for command, done in self.run(printing, "> /dev/full"):
            assert done.returncode == 1 and "standard output cannot be written" in done.stderr, (command, done)

    def test_a_reader_that_left_is_none(self, printing):
        for command, done in self.run(printing, "| true"):
            assert (done.returncode, done.stderr) == (0, ""), (command, done)

    def test_standard_error_may_be_closed(self, printing):
        office, _ = printing
        line = f"'{BINARY}' account show 5 --config '{office.config_path}' 2> /dev/full"
        assert subprocess.run(["bash", "-c", line], timeout=60).returncode == 1


def audit_of(office, *arguments) -> list[dict]:
    return [json.loads(line) for line in office.run("audit", "list", *arguments, "--json").stdout.splitlines()]


class TestAudit:
    ENGINES = ["sqlite"]

    @pytest.fixture(scope="class")
    def office(self, make_server):
        return make_server()

    def test_who_acted_is_the_machines_user_and_not_the_environments(self, office):
        account = office.create_account("Audited").account_id
        credit = ["account", "credit", account, "1"]
        office.run(*credit, env={"USER": "mallory", "LOGNAME": "mallory"})
        office.run(*credit, env={"SUDO_USER": "ann", "SUDO_UID": "1000"})
        claimed, plain, created = audit_of(office, "--account", account)
        assert created["actor"] == plain["actor"] == f"command-line {ME}"
        assert claimed["actor"] == f"command-line {ME}, by sudo for ann (uid 1000), as claimed"
        assert [entry["actor"] for entry in audit_of(office, "--account", account, "--actor", ME)] == [plain["actor"]] * 2

    def test_what_operators_do_by_command_is_noted(self, office):
        account = office.create_account("Deeds")
        office.run("quota", "set", account.account_id, "77", "--reason", "a slow start")
        office.run("domain", "verify", account.account_id, "deeds.test")
        entries = audit_of(office, "--account", account.account_id)
        assert [entry["action"] for entry in entries] == ["verify-domain", "set-quota", "create-account"]
        assert "deeds.test" in entries[0]["detail"] and account.email in entries[2]["detail"]
        assert "77" in entries[1]["detail"] and "a slow start" in entries[1]["detail"]
        office.run("operator", "create", "--email", "noted@host.test")
        newest = audit_of(office, "--limit", "1")[0]
        assert (newest["action"], newest["account_id"], newest["detail"]) == ("create-operator", None, "noted@host.test")

    def test_what_was_refused_is_not_noted(self, office):
        before = audit_of(office)
        office.run("quota", "set", "7", "1", "--reason", "x", expect=1)
        office.run("domain", "verify", "7", "x.test", expect=1)
        office.run("queue", "cancel", "7", expect=1)
        assert audit_of(office) == before

    def test_an_account_that_there_is_not_has_no_log(self, office):
        done = office.run("audit", "list", "--account", "42", expect=1)
        assert "no account 42" in done.stderr and not done.stdout


def test_mails_that_are_retried_or_cancelled_by_hand_are_in_the_audit_log(make_server, dns, mx_port):
    """Two mails for a host where nobody listens: the first is tried and waits, the second waits for the host untried."""
    dns.add_mx("down.test", "mx.down.test")
    dns.add_host("mx.down.test", "127.0.0.77")
    dns.restart()
    server = make_server(dns.address, delivery={"hostname": "out.indicia.test", "port": mx_port,
                                                "retry_pauses_seconds": [600]}).start()
    account = server.create_account("Waiter")
    sender = server.create_sender(account, "waiter.test")
    waiting = lambda message: "next try" in server.run("queue", "show", message).stdout  # noqa: E731
    tried = account.sdk.send(sender.address, "one@down.test")
    wait_until(lambda: waiting(tried), "the first was tried")
    untried = account.sdk.send(sender.address, "two@down.test")
    wait_until(lambda: waiting(untried), "the second waits")
    server.run("queue", "cancel", untried)
    server.run("queue", "retry", tried)
    cancelled = [entry for entry in audit_of(server, "--account", account.account_id) if entry["action"] == "cancel-message"]
    assert [entry["detail"] for entry in cancelled] == [f"message {untried}: 1 mail withdrawn"]
    newest = audit_of(server, "--account", account.account_id, "--limit", "1")[0]
    assert (newest["action"], newest["detail"]) == ("retry-message", f"message {tried}: 1 mail made due")
    assert newest["actor"] == f"command-line {ME}"
    server.stop()
