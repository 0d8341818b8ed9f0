"""Debian's Postfix with a configuration, queue and data directory of its own, and OpenDKIM beside it.

`default` is main.cf as Debian ships it, less TLS (which the load does not use) and chroot. `tuned` is the
best of several tunings: more processes than two cores can serve made it slower, not faster. No look-up
leaves the machine: every recipient goes to the sink by a static transport.
"""

import grp
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from .measure import wait_for
from .tools import answers_smtp, free_port

DAEMONS = Path("/usr/lib/postfix/sbin")
MASTER_TEMPLATE = Path("/usr/share/postfix/master.cf.dist")
SENDER = "load@load.test"
TUNED = {
    "in_flow_delay": "0", "initial_destination_concurrency": "10", "default_destination_concurrency_limit": "10",
    "smtp_connection_cache_destinations": "static:all", "smtpd_peername_lookup": "no",
    "local_header_rewrite_clients": "", "receive_override_options": "no_address_mappings", "max_use": "10000",
}


def problem() -> str | None:
    """Why Postfix cannot be measured here, or None."""
    if os.geteuid() != 0:
        return "Postfix can be started by root only"
    if not (DAEMONS / "master").exists():
        return "Debian's postfix is not installed"
    return None


def dkim_problem() -> str | None:
    return None if shutil.which("opendkim") or Path("/usr/sbin/opendkim").exists() else "opendkim is not installed"


class Postfix:
    sender = SENDER

    def __init__(self, folder: Path, sink_port: int, tuned: bool, dkim: bool):
        self.folder, self.port = folder, free_port()
        self._dkim = self._start_opendkim() if dkim else None
        self._configure(sink_port, tuned, dkim)
        self._master = subprocess.Popen([DAEMONS / "master", "-c", folder / "etc", "-d"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers_smtp(self.port), "Postfix answers", 20)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in (self._master, self._dkim) if process]

    def _start_opendkim(self) -> subprocess.Popen:
        self.folder.chmod(0o755)
        key = self.folder / "dkim.key"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, capture_output=True)
        socket_path, config = self.folder / "dkim.sock", self.folder / "opendkim.conf"
        settings = {
            "Socket": f"local:{socket_path}", "Domain": "load.test", "Selector": "bench", "KeyFile": key, "Mode": "s",
            "Canonicalization": "relaxed/relaxed", "SignatureAlgorithm": "rsa-sha256", "InternalHosts": "127.0.0.1",
            "RequireSafeKeys": "no", "UMask": "000", "Syslog": "no", "SubDomains": "no",
        }
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        binary = shutil.which("opendkim") or "/usr/sbin/opendkim"
        process = subprocess.Popen([binary, "-f", "-x", config], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(socket_path.exists, "OpenDKIM listens", 10)
        return process

    def _configure(self, sink_port: int, tuned: bool, dkim: bool):
        etc, spool, data = (self.folder / name for name in ("etc", "spool", "data"))
        for folder in (etc, spool, data):
            folder.mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(data, owner.pw_uid, owner.pw_gid)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace"):
            (spool / name).mkdir(mode=0o700)
            os.chown(spool / name, owner.pw_uid, owner.pw_gid)
        (spool / "pid").mkdir(mode=0o755)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            (spool / name).mkdir()
            os.chown(spool / name, owner.pw_uid, grp.getgrnam("postdrop").gr_gid)
            (spool / name).chmod(mode)
        settings = {
            "compatibility_level": "3.6", "queue_directory": spool, "data_directory": data,
            "command_directory": "/usr/sbin", "daemon_directory": DAEMONS, "shlib_directory": "/usr/lib/postfix",
            "meta_directory": "/etc/postfix", "mail_owner": "postfix", "setgid_group": "postdrop",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "myhostname": "mta.load.test",
            "mydestination": "localhost", "mynetworks": "127.0.0.0/8", "relay_domains": "sink.test",
            "transport_maps": f"static:smtp:[127.0.0.1]:{sink_port}", "alias_maps": "", "alias_database": "",
            "biff": "no", "append_dot_mydomain": "no", "recipient_delimiter": "+", "mailbox_size_limit": "0",
            "maillog_file": self.folder / "mail.log", "maillog_file_prefixes": self.folder,
            "smtpd_relay_restrictions": "permit_mynetworks, defer_unauth_destination",
        }
        if tuned:
            settings |= TUNED
        if dkim:
            settings |= {"smtpd_milters": f"unix:{self.folder / 'dkim.sock'}", "milter_default_action": "tempfail"}
        (etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        (etc / "master.cf").write_text(_master_cf(f"127.0.0.1:{self.port}"))

    def stop(self):
        for process in (self._master, self._dkim):
            if process:
                process.terminate()
                process.wait(20)

    @staticmethod
    def version() -> str:
        done = subprocess.run(["/usr/sbin/postconf", "-d", "-h", "mail_version"], capture_output=True, text=True)
        return "Postfix " + done.stdout.strip()


def _master_cf(listen: str) -> str:
    """Debian's own master.cf with the address to listen on, and no service chrooted."""
    lines = []
    for line in MASTER_TEMPLATE.read_text().splitlines():
        if re.match(r"\S", line) and not line.startswith("#"):
            fields = line.split()
            if len(fields) >= 8 and fields[1] in ("inet", "unix", "unix-dgram"):
                fields[4] = "n"
                if fields[0] == "smtp" and fields[1] == "inet":
                    fields[0] = listen
                line = " ".join(fields)
        lines.append(line)
    return "\n".join(lines) + "\n"
