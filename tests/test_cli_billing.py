"""Money, packages, bills and the audit log on the command line."""

import csv
import datetime
import html
import io
import json
import re
import subprocess
from decimal import Decimal

import pytest

from harness.demo import Demo
from harness.sdk import Sdk, dm
from harness.server import BINARY, to_toml
from harness.visitor import Visitor
from harness.waiting import wait_until

pytestmark = pytest.mark.e2e

COMMANDS = ["account list", "account show", "account credit", "account adjust", "account credit-limit", "account contact",
            "package list", "package buy", "package refund", "package renew", "package upgrade", "bill list", "bill make",
            "bill statement", "notice list", "audit list", "price list", "ledger verify", "ledger balance", "ledger lines"]


def figures_of(statement: str) -> dict[str, str]:
    """The lines of a statement that have a name and a figure."""
    found = re.findall(r"^  ([A-Z]\S*(?: \S+)*?) {2,}([-+]?[\d.]+)(?: {3}(?:none|\d+ lines?))?$", statement, re.M)
    return dict(found)


def lines_of(done) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_explained(command):
    done = subprocess.run([BINARY, *command.split(), "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    arguments = [at for at, line in enumerate(lines) if re.match(r"  (-\w, |    )?(--[\w-]+|<\w+>)", line)]
    assert len(arguments) >= 2, done.stdout
    for at in arguments:
        beside = len(re.split(r"\s{2,}", lines[at].strip())) > 1
        below = at + 1 < len(lines) and re.match(r"\s{10,}\S", lines[at + 1])
        assert beside or below, f"{command}: `{lines[at].strip()}` is not explained"


@pytest.fixture(scope="module")
def office(make_server):
    """An installation that does not run: every command works without a server, once there is a store."""
    made = make_server()
    made.create_account("First")
    return made


@pytest.fixture
def customer(office):
    return office.create_account("Customer")


class TestMoney:
    def test_credit_adjustment_and_limit_are_lines_and_audit_entries(self, office, customer):
        account = customer.account_id
        office.run("account", "credit", account, "100", "--memo", "bank transfer")
        office.run("account", "adjust", account, "--money", "-2.50", "--reason", "fee taken twice")
        office.run("account", "adjust", account, "--free-mails", "500", "--reason", "trial extended")
        office.run("account", "credit-limit", account, "25", "--reason", "contract")
        shown = office.run_json("account", "show", account)
        assert (shown["cash"], shown["credit_limit"], shown["free_mails"]) == ("97.50", "25.00", 2500)
        lines = lines_of(office.run("ledger", "lines", account, "--json"))
        assert [(line["kind"], line["unit"], line["amount"]) for line in lines] == [
            ("opening", "mail", 2000), ("credit", "money", 100_000_000), ("adjustment", "money", 2_500_000),
            ("adjustment", "mail", 500)]
        log = lines_of(office.run("audit", "list", "--account", account, "--json"))
        assert [entry["action"] for entry in log] == ["credit-limit", "adjust-mails", "adjust-money", "credit",
                                                      "create-account"]
        assert all(entry["actor"].startswith("command-line ") for entry in log)
        assert "contract" in log[0]["detail"] and "fee taken twice" in log[2]["detail"]
        office.verify_ledger()

    @pytest.mark.parametrize("arguments,status", [
        (["adjust", "--money", "1"], 2), (["adjust", "--reason", "x"], 2), (["adjust", "--money", "0", "--reason", "x"], 2),
        (["adjust", "--money", "1", "--free-mails", "1", "--reason", "x"], 2), (["adjust", "--money", "1", "--reason", " "], 2),
        (["adjust", "--package", "DMBAG-1", "--reason", "x"], 2), (["adjust", "--mails", "5", "--reason", "x"], 2),
        (["adjust", "--money", "-1", "--reason", "x"], 1), (["adjust", "--free-mails", "-2001", "--reason", "x"], 1),
        (["adjust", "--package", "DMBAG-1", "--mails", "5", "--reason", "x"], 1), (["credit", "-1"], 1), (["credit", "0"], 2),
        (["credit-limit", "-5", "--reason", "x"], 2), (["credit-limit", "5"], 2)])
    def test_what_cannot_be_booked_is_refused_and_nothing_is_written(self, office, customer, arguments, status):
        done = office.run("account", arguments[0], customer.account_id, *arguments[1:], expect=status)
        assert done.stderr and not done.stdout
        lines = lines_of(office.run("ledger", "lines", customer.account_id, "--json"))
        assert [line["kind"] for line in lines] == ["opening"]
        log = lines_of(office.run("audit", "list", "--account", customer.account_id, "--json"))
        assert [entry["action"] for entry in log] == ["create-account"]

    def test_r26_the_same_key_books_once(self, office, customer):
        account = customer.account_id
        credit = ["account", "credit", account, "100", "--memo", "cheque", "--idempotency-key", "cheque-1"]
        money = ["account", "adjust", account, "--money", "-2.50", "--reason", "fee", "--idempotency-key", "fee-1"]
        mails = ["account", "adjust", account, "--free-mails", "500", "--reason", "trial", "--idempotency-key", "trial-1"]
        limit = ["account", "credit-limit", account, "25", "--reason", "contract", "--idempotency-key", "contract-1"]
        for command in (credit, money, mails, limit):
            assert "done before" not in office.run(*command).stdout
        office.run("account", "credit-limit", account, "40", "--reason", "a better contract")
        lines = office.run("ledger", "lines", account, "--json").stdout
        log = office.run("audit", "list", "--account", account, "--json").stdout
        for command in (credit, money, mails, limit):
            assert office.run(*command).stdout.startswith("done before under this key")
        assert "was then USD 100.00" in office.run(*credit).stdout, "the answer of the first time, not of today"
        assert office.run("ledger", "lines", account, "--json").stdout == lines
        assert office.run("audit", "list", "--account", account, "--json").stdout == log
        shown = office.run_json("account", "show", account)
        assert (shown["cash"], shown["credit_limit"], shown["free_mails"]) == ("97.50", "40.00", 2500)
        other = credit.copy()
        other[3] = "101"
        refused = office.run(*other, expect=1)
        assert "key" in refused.stderr and not refused.stdout
        assert office.run("ledger", "lines", account, "--json").stdout == lines
        office.run("account", "credit", account, "100", "--idempotency-key", "größe", expect=2)
        office.verify_ledger()

    def test_r26_commands_given_at_once_under_one_key_book_once(self, office, customer):
        command = [BINARY, "account", "credit", str(customer.account_id), "7", "--idempotency-key", "once",
                   "--config", str(office.config_path)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        said = [process.communicate(timeout=60)[0] for process in running]
        assert [process.returncode for process in running] == [0] * 6
        assert sum(text.startswith("done before") for text in said) == 5
        assert office.run_json("account", "show", customer.account_id)["cash"] == "7.00"

    def test_r26_a_refused_command_leaves_its_key_free(self, office, customer):
        account = customer.account_id
        pay_out = ["account", "credit", account, "-5", "--idempotency-key", "pay-out"]
        office.run(*pay_out, expect=1)
        office.run("account", "credit", account, "5")
        assert "is now USD 0.00" in office.run(*pay_out).stdout

    def test_lines_are_filtered_and_written_as_csv(self, office, customer):
        account = customer.account_id
        office.run("account", "credit", account, "1", "--memo", '=1+1, "quoted"')
        read = list(csv.DictReader(io.StringIO(office.run("ledger", "lines", account, "--csv").stdout)))
        assert [(row["kind"], row["amount"]) for row in read] == [("opening", "2000"), ("credit", "1.00")]
        assert read[1]["memo"] == "'=1+1, \"quoted\"", "text, and no formula"
        money = lines_of(office.run("ledger", "lines", account, "--unit", "money", "--json"))
        assert len(money) == 1
        later = office.run("ledger", "lines", account, "--from", "2999-01-01T00:00:00Z", "--csv").stdout
        assert len(later.splitlines()) == 1, "the header alone"
        before = office.run("ledger", "lines", account, "--before", money[0]["at"]).stdout
        assert len(before.splitlines()) == 1, "half-open"

    def test_a_reader_that_has_seen_enough_is_no_failure(self, office, customer):
        command = f"{BINARY} ledger lines {customer.account_id} --config {office.config_path} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "panicked" not in done.stderr, done.stderr


class TestContact:
    def test_contacts_are_shown_and_changed(self, office, customer):
        account = customer.account_id
        before = office.run_json("account", "contact", account)
        assert (before["email"], before["phone"], before["language"]) == (customer.email, "", "en")
        office.run("account", "contact", account, "--phone", "+86 138 0000 0000", "--sms", "on", "--language", "zh",
                   "--email", "billing@customer.test", "--email-notices", "off")
        after = office.run_json("account", "contact", account)
        assert after == {"language": "zh", "email": "billing@customer.test", "phone": "+8613800000000", "by_station": True,
                         "by_email": False, "by_sms": True}
        assert office.run_json("account", "show", account)["contact"] == after

    @pytest.mark.parametrize("arguments", [["--phone", "0171 234"], ["--email", "nobody"], ["--language", "de"],
                                           ["--sms", "maybe"], ["--sms", "on"]])
    def test_what_cannot_be_reached_is_refused(self, office, customer, arguments):
        before = office.run_json("account", "contact", customer.account_id)
        done = office.run("account", "contact", customer.account_id, *arguments, expect=2)
        assert done.stderr
        assert office.run_json("account", "contact", customer.account_id) == before

    def test_a_telephone_is_checked_when_an_account_is_made(self, office):
        done = office.run("account", "create", "--name", "P", "--email", "phone@customer.test", "--phone", "0171", expect=2)
        assert "+" in done.stderr


class TestPackages:
    def test_r07_r12_buy_renew_refund_upgrade(self, office, customer):
        account = customer.account_id
        office.run("account", "credit", account, "1000")
        bought = office.run_json("package", "buy", account, "--mails", "50000", "--quantity", "2")
        first, second = bought["instance_ids"]
        assert bought["total"] == "26.10"
        renewed = office.run_json("package", "renew", account, first)
        assert renewed["starts_at"] == bought["ends_at"]
        assert office.run_json("package", "refund", account, second)["amount"] == "13.05"
        assert "refunded before" in office.run("package", "refund", account, second, expect=1).stderr
        upgraded = office.run_json("package", "upgrade", account, first, "--mails", "500000")
        assert upgraded["total"] == "108.75"
        listed = {row["instance_id"]: row for row in office.run_json("package", "list", account)}
        assert (listed[second]["status"], listed[second]["closed"]) == ("Refunded", "refund")
        assert (listed[first]["status"], listed[first]["replaced_by"]) == ("Upgraded", upgraded["instance_ids"][0])
        assert listed[renewed["instance_ids"][0]]["status"] == "Upcoming"
        assert office.run_json("account", "show", account)["cash"] == "865.15"
        office.verify_ledger()

    def test_r26_the_same_key_buys_once(self, office, customer):
        account = customer.account_id
        office.run("account", "credit", account, "100")
        order = ["package", "buy", account, "--mails", "50000", "--idempotency-key", "order-4711"]
        assert office.run_json(*order) == office.run_json(*order)
        assert len(office.run_json("package", "list", account)) == 1
        other = office.run("package", "buy", account, "--mails", "50000", "--quantity", "2", "--idempotency-key", "order-4711",
                           expect=1)
        assert "key" in other.stderr

    @pytest.mark.parametrize("arguments,status", [
        (["buy", "--mails", "12345"], 2), (["buy", "--mails", "50000", "--quantity", "0"], 2),
        (["buy", "--mails", "50000", "--quantity", "-1"], 2), (["buy", "--mails", "50000", "--starts", "yesterday"], 2),
        (["buy", "--mails", "50000", "--starts", "2999-01-01T00:00:00Z"], 2), (["buy", "--mails", "50000"], 1),
        (["refund", "DMBAG-1"], 1), (["renew", "DMBAG-1"], 1), (["upgrade", "DMBAG-1", "--mails", "500000"], 1)])
    def test_what_cannot_be_ordered_is_refused(self, office, customer, arguments, status):
        done = office.run("package", arguments[0], customer.account_id, *arguments[1:], expect=status)
        assert done.stderr and not done.stdout
        assert office.run_json("package", "list", customer.account_id) == []

    def test_r08_a_start_out_of_range_is_told_the_range(self, office):
        berlin = office.create_account("Berlin", zone="Europe/Berlin").account_id
        done = office.run("package", "buy", berlin, "--mails", "50000", "--starts", "2999-01-01T00:00:00Z", expect=2)
        latest = re.search(r"before (\S+) \(midnight in Europe/Berlin\)", done.stderr)[1]
        office.run("account", "credit", berlin, "100")
        office.run("package", "buy", berlin, "--mails", "50000", "--starts", latest, expect=2)
        last = latest.replace(":00:00Z", ":59:59Z")
        last = f"{last[:11]}{int(last[11:13]) - 1:02}{last[13:]}"
        assert office.run_json("package", "buy", berlin, "--mails", "50000", "--starts", last)["starts_at"] == last

    def test_a_package_is_adjusted_and_another_accounts_is_not(self, office, customer):
        other = office.create_account("Other")
        office.run("account", "credit", customer.account_id, "100")
        instance, = office.run_json("package", "buy", customer.account_id, "--mails", "50000")["instance_ids"]
        adjust = ["--package", instance, "--mails", "250", "--reason", "granted too little"]
        office.run("account", "adjust", other.account_id, *adjust, expect=1)
        office.run("account", "adjust", customer.account_id, *adjust)
        assert office.run_json("package", "list", customer.account_id)[0]["remaining"] == 50_250
        balance = office.run_json("ledger", "balance", customer.account_id)
        assert balance["packages"][0]["granted"] == 50_250
        future = office.run_json("ledger", "balance", customer.account_id, "--as-of", "2999-01-01T00:00:00Z")
        assert (future["packages"][0]["remaining"], future["packages"][0]["lapsed"]) == (0, 50_250)
        office.verify_ledger()


class TestStatement:
    """The console's sheet and the command line's show one account's month."""
    ENGINES = ["sqlite"]

    @pytest.fixture(scope="class")
    def customer(self, server):
        """An account with every column: bought, exchanged, refunded, adjusted, drawn; money put on and taken off."""
        made = server.create_account("Reader", zone="Asia/Shanghai")
        account = made.account_id
        server.add_credit(made, "1000.50")
        server.run("account", "credit", account, "-100.25", "--memo", "transferred twice")
        server.run("account", "adjust", account, "--money", "2.5", "--reason", "goodwill")
        server.run("account", "adjust", account, "--money", "-0.5", "--reason", "too much")
        first, second, third = server.run_json("package", "buy", account, "--mails", "50000", "--quantity", "3")["instance_ids"]
        server.run("package", "upgrade", account, second, "--mails", "500000")
        server.run("package", "refund", account, third)
        server.run("account", "adjust", account, "--package", first, "--mails", "-49000", "--reason", "granted too much")
        sender = server.create_sender(made, f"s{made.tag[-12:]}.sender.test")
        for part in range(4):
            made.sdk.send(sender.address, ",".join(f"s{part}x{i}@peer.test" for i in range(100)))
        return made

    @pytest.fixture
    def sheets(self, server, customer):
        month = (server.now() + datetime.timedelta(hours=8)).strftime("%Y-%m")
        visitor = Visitor(f"http://127.0.0.1:{server.console}")
        visitor.log_in(customer.email, customer.console_password)
        page = visitor.page(f"/accounts/{customer.account_id}/billing/statements/{month}")
        assert page.status_code == 200, page.text
        return page.text, server.run("bill", "statement", customer.account_id, "--month", month).stdout

    @staticmethod
    def rows_of(page: str) -> list[list[str]]:
        """The tables' rows as plain figures: no tags, no currency, no separators."""
        rows = []
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.S):
            cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)
            plain = [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells]
            rows.append([re.sub(r"(?<=\d),(?=\d)", "", cell.replace("USD ", "").replace("\u2212", "-")) for cell in plain])
        return rows

    def test_r25_money_mails_and_bills_are_the_consoles(self, sheets):
        page, text = sheets
        figures = figures_of(text)
        shown = {row[0]: row[-1] for row in self.rows_of(page) if len(row) == 3}
        names = ["Opening balance", "Payments received", "Put on by the operator", "Taken off by the operator", "Packages bought",
                 "Packages upgraded", "Packages refunded", "Adjustments that added", "Adjustments that took off", "Closing balance"]
        assert {name: figures[name] for name in names} == {name: shown[name] for name in names}
        assert (figures["Put on by the operator"], figures["Taken off by the operator"]) == ("+1000.50", "-100.25")
        mails = {row[0]: row[1] for row in self.rows_of(page) if len(row) == 3}
        sources = [name for name in figures if name.startswith("Package DMBAG")]
        assert len(sources) == 1
        for name in ["Free credit", "Pay-as-you-go", "All", *sources]:
            assert figures[name] == mails[name], name
        assert (figures["Free credit"], figures["All"]) == ("200", "400")
        bills = next(row for row in self.rows_of(page) if len(row) == 5 and re.fullmatch(r"\d+ bills?", row[0]))
        assert [figures[name] for name in ("Bills", "Mails", "Billed", "Paid", "Unpaid")] == [bills[0].split()[0], *bills[1:]]

    def test_r12_r25_each_packages_columns_are_the_consoles(self, sheets):
        page, text = sheets
        rows = [[("0" if cell == "\u2013" else cell) for cell in row] for row in self.rows_of(page) if len(row) == 9]
        header = next(row for row in rows if row[0] == "Instance")
        packages = {row[0]: row[2:] for row in rows if row is not header}
        table = text.split("PACKAGES, IN MAILS\n")[1].split("\n\n")[0].splitlines()
        assert [name for name in header if name not in table[0]] == []
        printed = {line.split()[0]: line.split()[-7:] for line in table[1:]}
        assert printed == packages and len(printed) == 5
        assert printed["All"] == ["0", "650000", "-49000", "100000", "200", "0", "500800"]

    def test_times_are_the_accounts_to_the_second(self, sheets):
        _, text = sheets
        assert re.search(r"^period    \d{4}-\d\d-01 00:00:00 until ", text, re.M)
        assert not re.search(r"\d\.\d{6}|\dZ", text), text
        ends = re.findall(r"DMBAG-\S+ +(\S+ \S+) ", text.split("PACKAGES, IN MAILS")[1])
        assert len(ends) == 4 and all(end.endswith(" 00:00:00") for end in ends), ends


def test_the_price_list_is_that_of_the_configuration(office):
    prices = office.run_json("price", "list")
    assert [(offer["mails"], offer["price"]) for offer in prices["packages"]] == [
        (50_000, "13.05"), (500_000, "121.80"), (1_000_000, "230.55"), (5_000_000, "1123.75")]
    assert prices["pay_as_you_go_per_1000"] == "0.29"
    assert "1123.75" in office.run("price", "list").stdout


@pytest.mark.parametrize("arguments", [["account", "show", "7"], ["account", "contact", "7"], ["bill", "list", "7", "--month", "2026-11"],
                                       ["bill", "statement", "7", "--month", "2026-11"], ["notice", "list", "7"],
                                       ["ledger", "lines", "7"], ["account", "credit-limit", "7", "1", "--reason", "x"],
                                       ["account", "adjust", "7", "--money", "1", "--reason", "x"]])
def test_unknown_accounts_are_exit_status_1(office, arguments):
    done = office.run(*arguments, expect=1)
    assert "7" in done.stderr and not done.stdout


@pytest.mark.parametrize("arguments", [["bill", "list", "1", "--month", "2026-13"], ["bill", "statement", "1", "--month", "November"],
                                       ["bill", "list", "1"], ["ledger", "lines", "1", "--unit", "euro"],
                                       ["ledger", "lines", "1", "--csv", "--json"], ["ledger", "balance", "1", "--as-of", "now"]])
def test_what_cannot_be_understood_is_exit_status_2(office, arguments):
    assert office.run(*arguments, expect=2).stderr


class TestBills:
    """On a demo's data, whose clock can be moved to the next hour and the next month."""
    ENGINES = ["sqlite"]

    @pytest.fixture(scope="class")
    def demo(self, tmp_path_factory):
        made = Demo("--data", tmp_path_factory.mktemp("bills"))
        yield made
        made.stop()

    @pytest.fixture(scope="class")
    def run(self, demo, tmp_path_factory):
        config = tmp_path_factory.mktemp("config") / "indicia.toml"
        config.write_text(to_toml({"data_dir": demo.field("Data")}))

        def run(*arguments, expect=0):
            done = subprocess.run([BINARY, *map(str, arguments), "--config", config], capture_output=True, text=True, timeout=60)
            assert done.returncode == expect, done.stdout + done.stderr
            return done
        return run

    @pytest.fixture(scope="class")
    def sent(self, demo, run):
        """An account that sent 300 mails beyond its free ones, two hours ago."""
        made = json.loads(run("account", "create", "--name", "Biller", "--email", "biller@customer.test", "--zone", "UTC",
                              "--json").stdout)
        sdk = Sdk(f"127.0.0.1:{demo.api_port}", made["access_key_id"], made["access_key_secret"])
        account = made["account_id"]
        run("domain", "verify", account, "bills.test")
        sdk.dm.create_mail_address(dm.CreateMailAddressRequest(account_name="n@bills.test", sendtype="trigger"))
        month = json.loads(run("ledger", "balance", account, "--json").stdout)["as_of"][:7]
        for part in range(5):
            sdk.send("n@bills.test", ",".join(f"r{part}x{i}@inbox.demo" for i in range(100)))
        demo.advance("2h")
        return account, month

    def test_r10_the_job_bills_once_however_often_it_runs(self, run, sent):
        account, month = sent
        run("bill", "make")
        wait_until(lambda: run("bill", "list", account, "--month", month, "--json").stdout, "the hour is billed")
        again = json.loads(run("bill", "make", "--json").stdout)
        assert again == {"bills": 0, "settlements": 0, "overdue": 0}
        bills = lines_of(run("bill", "list", account, "--month", month, "--json"))
        assert sum(bill["mails"] for bill in bills) == 300
        assert {bill["state"] for bill in bills} == {"open"}
        plural = "bill" if len(bills) == 1 else "bills"
        assert run("bill", "list", account, "--month", month).stdout.splitlines()[-1].startswith(f"{len(bills)} {plural}, 300 mails")

    def test_r11_the_first_collects_and_paying_ends_the_arrears(self, demo, run, sent):
        account, month = sent
        for _ in range(5):
            demo.advance("7d")
        run("bill", "make")
        overdue = lambda: [row["account_id"] for row in lines_of(run("account", "list", "--overdue", "--json"))]  # noqa: E731
        wait_until(lambda: account in overdue(), "the account is overdue")
        assert "overdue" in json.loads(run("account", "show", account, "--json").stdout)["status"]
        shown = json.loads(run("account", "show", account, "--json").stdout)
        part = run("account", "credit", account, "0.02", "--memo", "not enough").stdout
        missing = Decimal(shown["due"]) - Decimal(shown["cash"]) - Decimal("0.02")
        assert f"still overdue: USD {missing} more is needed" in part, part
        assert account in overdue()
        assert "overdue" not in run("account", "credit", account, "5", "--memo", "paid").stdout
        assert account not in overdue()
        assert {bill["state"] for bill in lines_of(run("bill", "list", account, "--month", month, "--json"))} == {"paid"}
        wait_until(lambda: "overdue" in {row["kind"] for row in lines_of(run("notice", "list", account, "--json"))},
                   "the arrears are told")

    def test_r25_the_statement_leads_from_opening_to_closing(self, run, sent):
        account, month = sent
        text = run("bill", "statement", account, "--month", month).stdout
        for part in (f"STATEMENT {month}", "Biller", "No package existed", "BY DAY"):
            assert part in text, text
        figures = figures_of(text)
        assert (figures["Pay-as-you-go"], figures["Free credit"], figures["Mails"]) == ("300", "200", "300")
        present = json.loads(run("ledger", "balance", account, "--json").stdout)
        later = figures_of(run("bill", "statement", account, "--month", present["as_of"][:7]).stdout)
        assert (later["Put on by the operator"], later["Closing balance"]) == ("+5.02", present["cash"])
        run("bill", "statement", account, "--month", "2999-01", expect=2)
        run("ledger", "verify")
