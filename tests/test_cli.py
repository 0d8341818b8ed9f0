"""The command line: help, exit statuses, configuration errors, and commands beside a running server."""

import json
import re
import subprocess

import pytest

from harness.sdk import ClientException
from harness.server import BINARY

pytestmark = pytest.mark.e2e

COMMANDS = ["demo", "serve", "account create", "account credit", "operator create", "quota set", "domain verify",
            "package list", "message show", "ledger verify", "config check"]


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


@pytest.mark.parametrize("amount", ["ten", "1.2.3", "0.0000001", "1e3", "", "99999999999999999999"])
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
