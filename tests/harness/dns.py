"""A real DNS server, dnsmasq, that answers for the test's zones alone and forwards nothing.

Records may be added while the server under test runs: dnsmasq is then started again on the same port.
Every name without a record is NXDOMAIN, so that no look-up leaves the machine.
"""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from .ports import free_port
from .waiting import wait_until

MX_TYPE = 15
NULL_MX_HEX = "000000"  # preference 0, root name (RFC 7505)


def full_name(host_record: str, root_domain: str) -> str:
    """DescDomain gives host records below the registered (root) domain, as a DNS console asks for them."""
    return host_record if host_record.endswith(root_domain) else f"{host_record}.{root_domain}"


class DnsServer:
    def __init__(self):
        self.port = free_port()
        self._dir = Path(tempfile.mkdtemp(prefix="indicia-dns-"))
        self._records: list[str] = []
        self._process = None
        self.restart()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add_txt(self, name: str, text: str):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        self._records.append(f'txt-record={name},"{quoted}"')

    def add_mx(self, domain: str, host: str, preference: int = 10):
        self._records.append(f"mx-host={domain},{host},{preference}")

    def add_null_mx(self, domain: str):
        self._records.append(f"dns-rr={domain},{MX_TYPE},{NULL_MX_HEX}")

    def add_host(self, name: str, *addresses: str):
        self._records.append("host-record=" + ",".join((name, *addresses)))

    def add_unanswered(self, domain: str):
        """Queries below `domain` are forwarded to where nobody answers: a time-out, not NXDOMAIN."""
        self._records.append(f"server=/{domain}/127.0.0.1#9")

    def remove_txt(self, name: str):
        self._records = [r for r in self._records if not r.startswith(f"txt-record={name},")]

    def restart(self):
        """Makes the records added since the last start visible."""
        self.stop()
        config = self._dir / "dnsmasq.conf"
        lines = [
            f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "no-poll",
            "local=/#/", "cache-size=0", "edns-packet-max=4096", "user=root", "local-ttl=1", *self._records,
        ]
        config.write_text("\n".join(lines) + "\n")
        binary = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"
        self._process = subprocess.Popen(
            [binary, "--keep-in-foreground", f"--conf-file={config}", f"--pid-file={self._dir}/pid"],
            stderr=open(self._dir / "log", "ab"))
        wait_until(self._answers, "dnsmasq answers")

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("dnsmasq stopped: " + (self._dir / "log").read_text()[-2000:])
        try:
            dns.query.udp(dns.message.make_query("probe.invalid", "A"), "127.0.0.1", port=self.port, timeout=0.5)
            return True
        except (dns.exception.Timeout, socket.error):
            return False

    def lookup_txt(self, name: str) -> bytes | None:
        """The TXT record of `name` as one string, as a verifier sees it; None when there is none."""
        answer = dns.query.tcp(dns.message.make_query(name, "TXT"), "127.0.0.1", port=self.port, timeout=5)
        for rrset in answer.answer:
            for record in rrset:
                return b"".join(record.strings)
        return None

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def close(self):
        self.stop()
        shutil.rmtree(self._dir, ignore_errors=True)
