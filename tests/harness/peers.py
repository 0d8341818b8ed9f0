"""A receiving mail server (aiosmtpd) whose behaviour is scripted by the recipient's local part.

    nobody…    550 5.1.1 at RCPT             spam…   554 5.7.1 after DATA
    grey…      451 4.7.1 the first time(s)   full…   452 4.2.2 at RCPT, always
    drop…      connection cut after the final dot, the first time; accepted later
    slow…      accepted after `slow_s`       anything else is accepted

Everything that was accepted is kept: envelope and octets as they came.
"""

import asyncio
import email
import email.policy
import threading
from collections import Counter
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from .waiting import wait_until


@dataclass
class Received:
    mail_from: str
    rcpt_tos: list[str]
    content: bytes
    peer_ip: str
    tls: bool
    esmtp: bool
    message: email.message.EmailMessage = field(init=False)

    def __post_init__(self):
        self.message = email.message_from_bytes(self.content, policy=email.policy.SMTPUTF8)

    @property
    def env_id(self) -> str:
        return str(self.message["X-Indicia-Env-Id"])


class _Handler:
    def __init__(self, peer):
        self.peer = peer

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0].lower()
        self.peer.rcpt_attempts[address] += 1
        if local.startswith("nobody"):
            return "550 5.1.1 <%s>: Recipient address rejected: User unknown" % address
        if local.startswith("full"):
            return "452 4.2.2 mailbox full"
        if local.startswith("grey") and self.peer.rcpt_attempts[address] <= self.peer.grey_refusals:
            return "451 4.7.1 Greylisted, please come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        locals_ = [r.split("@")[0].lower() for r in envelope.rcpt_tos]
        if any(name.startswith("spam") for name in locals_):
            return "554 5.7.1 Message rejected as spam by content filter"
        if any(name.startswith("drop") for name in locals_):
            self.peer.drops += 1
            if self.peer.drops <= self.peer.drop_limit:
                server.transport.abort()
                return "421 4.3.0 cut"
        if any(name.startswith("slow") for name in locals_):
            await asyncio.sleep(self.peer.slow_s)
        with self.peer.lock:
            self.peer.received.append(Received(
                mail_from=envelope.mail_from, rcpt_tos=list(envelope.rcpt_tos), content=envelope.original_content,
                peer_ip=session.peer[0], tls=session.ssl is not None, esmtp=bool(session.extended_smtp)))
        return "250 2.0.0 Ok: queued"


class _Controller(Controller):
    def __init__(self, handler, connections, **kwargs):
        super().__init__(handler, **kwargs)
        self._connections = connections

    def factory(self):
        counted = self._connections

        class CountingSMTP(SMTP):
            def connection_made(self, transport):
                counted["opened"] += 1
                super().connection_made(transport)

        return CountingSMTP(self.handler, **self.SMTP_kwargs)


class Peer:
    def __init__(self, port: int, host: str = "127.0.0.1", tls_context=None, slow_s: float = 3.0,
                 grey_refusals: int = 1, hostname: str = "mx.peer.test"):
        self.host, self.port = host, port
        self.received: list[Received] = []
        self.rcpt_attempts: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.drops, self.drop_limit = 0, 1
        self.slow_s, self.grey_refusals = slow_s, grey_refusals
        self.lock = threading.Lock()
        self._controller = _Controller(
            _Handler(self), self.connections, hostname=host, port=port, server_hostname=hostname, enable_SMTPUTF8=True,
            tls_context=tls_context, data_size_limit=40 * 1024 * 1024, ready_timeout=10)
        self._controller.start()

    def to(self, address: str) -> list[Received]:
        """What has been accepted for `address`, oldest first."""
        with self.lock:
            return [r for r in self.received if address in r.rcpt_tos]

    def wait_for(self, address: str, count: int = 1, timeout_s: float = 20.0) -> list[Received]:
        return wait_until(lambda: (got := self.to(address)) and len(got) >= count and got,
                          f"{count} mail(s) for {address} at the peer {self.host}:{self.port}", timeout_s)

    def stop(self):
        self._controller.stop()
