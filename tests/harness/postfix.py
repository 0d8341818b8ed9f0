"""A real Postfix that receives for one domain into a maildir, as a peer that was not written here.

It runs from a configuration, queue and data directory of its own on a loopback address; the system's
Postfix, if there is one, is neither configured nor started.
"""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .waiting import wait_until

_SERVICES = """
{listen} inet n - n - 20 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def installed() -> bool:
    return Path("/usr/lib/postfix/sbin/master").exists()


class PostfixPeer:
    def __init__(self, host: str, port: int, domain: str, tls: tuple[Path, Path] | None = None):
        self.host, self.port, self.domain = host, port, domain
        self._dir = Path(tempfile.mkdtemp(prefix="indicia-postfix-"))
        self._dir.chmod(0o755)
        self._process = None
        try:
            self._configure(tls)
            self._start()
        except BaseException:
            self.stop()
            raise

    def _configure(self, tls):
        etc, spool, data, self.mail = (self._dir / name for name in ("etc", "spool", "data", "mail"))
        for folder in (etc, spool, data, self.mail):
            folder.mkdir()
        owner = pwd.getpwnam("postfix")
        self._make_queues(spool, owner.pw_uid, grp.getgrnam("postdrop").gr_gid)
        os.chown(data, owner.pw_uid, owner.pw_gid)
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        settings = {
            "compatibility_level": "3.6", "queue_directory": spool, "data_directory": data,
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix", "meta_directory": etc, "mail_owner": "postfix",
            "setgid_group": "postdrop", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "myhostname": f"mx.{self.domain}", "mydestination": "", "mynetworks": "127.0.0.0/8",
            "virtual_mailbox_domains": self.domain, "virtual_mailbox_base": self.mail,
            "virtual_mailbox_maps": "static:inbox/", "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{grp.getgrnam('postfix').gr_gid}", "virtual_minimum_uid": "1",
            "maillog_file": self._dir / "log", "maillog_file_prefixes": self._dir, "alias_maps": "",
            "alias_database": "", "smtpd_peername_lookup": "no", "message_size_limit": "41943040",
            "smtpd_forbid_bare_newline": "yes", "disable_dns_lookups": "yes",
            "default_transport": "error:this peer only receives", "smtputf8_enable": "yes",
        }
        if tls:
            settings |= {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": tls[0],
                         "smtpd_tls_key_file": tls[1], "smtpd_tls_received_header": "yes"}
        (etc / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (etc / "master.cf").write_text(_SERVICES.format(listen=f"{self.host}:{self.port}"))
        for name in ("dynamicmaps.cf", "postfix-files"):
            source = Path("/etc/postfix") / name
            if source.exists():
                shutil.copy(source, etc / name)
        (etc / "dynamicmaps.cf.d").mkdir()
        (etc / "postfix-files.d").mkdir()

    @staticmethod
    def _make_queues(spool: Path, owner_id: int, drop_group_id: int):
        """The queue directories with the owners that postfix-files(5) gives them."""
        own_group = pwd.getpwuid(owner_id).pw_gid
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace"):
            (spool / name).mkdir(mode=0o700)
            os.chown(spool / name, owner_id, own_group)
        (spool / "pid").mkdir(mode=0o755)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            (spool / name).mkdir()
            os.chown(spool / name, owner_id, drop_group_id)
            (spool / name).chmod(mode)

    def _start(self):
        etc = self._dir / "etc"
        self._process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-c", etc, "-d"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "Postfix answers", timeout_s=15)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("Postfix stopped: " + self.log())
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                return connection.recv(200).startswith(b"220")
        except OSError:
            return False

    def log(self) -> str:
        path = self._dir / "log"
        return path.read_text()[-4000:] if path.exists() else "(no log)"

    def delivered(self) -> list[bytes]:
        """Every message in the maildir, as Postfix stored it."""
        return [path.read_bytes() for path in sorted((self.mail / "inbox").glob("new/*"))]

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)
        shutil.rmtree(self._dir, ignore_errors=True)
