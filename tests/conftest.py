"""Fixtures: the two engines, a DNS server, peers, and servers under test that clean up after themselves."""

import shutil
import tempfile
from pathlib import Path

import pytest

from harness.dns import DnsServer
from harness.peers import Peer
from harness.ports import free_port
from harness.postgres import Cluster
from harness.server import BINARY, Indicia

ENGINES = ("sqlite", "postgres")


def pytest_addoption(parser):
    parser.addoption("--engine", choices=ENGINES, action="append", help="only this store engine (default: both)")


def pytest_configure(config):
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} does not exist: run `cargo build` first, or set E2E_BINARY")


def pytest_generate_tests(metafunc):
    """Both engines, unless a class or module says with ENGINES that one is enough for what it tests."""
    if "engine" in metafunc.fixturenames:
        tested = next((owner.ENGINES for owner in (metafunc.cls, metafunc.module) if hasattr(owner, "ENGINES")), ENGINES)
        chosen = metafunc.config.getoption("--engine")
        metafunc.parametrize("engine", [e for e in tested if not chosen or e in chosen], scope="module")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and "make_server" in item.fixturenames:
        for server in _servers:
            report.sections.append((f"log of {server.folder.name}", server.log_tail()))


_servers: list[Indicia] = []


@pytest.fixture(scope="session")
def cluster():
    made = Cluster()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def store_url(engine, request):
    """A function that gives a new, empty store's URL on the module's engine."""
    return request.getfixturevalue("cluster").new_database if engine == "postgres" else lambda: "sqlite"


@pytest.fixture(scope="module")
def make_server(store_url, engine):
    """Builds installations (not started) in fresh folders; stops and removes them at the module's end."""
    root = Path(tempfile.mkdtemp(prefix="indicia-e2e-"))
    made: list[Indicia] = []

    def make(dns_address: str | None = None, **changes) -> Indicia:
        server = Indicia(root / f"{engine}-{len(made)}", store_url(), dns_address, **changes)
        made.append(server)
        _servers.append(server)
        return server

    yield make
    for server in made:
        server.kill()
        _servers.remove(server)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def dns():
    server = DnsServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mx_port():
    """The port of every remote MX of the module: peers differ by their loopback address."""
    return free_port()


@pytest.fixture(scope="module")
def peer(mx_port, dns):
    """The peer for `peer.test`, found through its MX record."""
    made = Peer(mx_port, host="127.0.0.1")
    dns.add_mx("peer.test", "mx1.peer.test")
    dns.add_host("mx1.peer.test", "127.0.0.1")
    dns.restart()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(make_server, dns, peer, mx_port):
    """A running server that delivers to `peer`; retries come after one and two seconds."""
    return make_server(dns.address, delivery={
        "hostname": "out.indicia.test", "port": mx_port, "retry_pauses_seconds": [1, 2]}).start()


@pytest.fixture
def account(server):
    return server.create_account()


@pytest.fixture
def sender(server, account):
    """A sender address of its own for each test, on a domain verified by the operator."""
    return server.create_sender(account, f"t{account.tag[-12:]}.sender.test")
