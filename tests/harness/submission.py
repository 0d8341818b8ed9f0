"""Speaking SMTP to the server under test, politely and rudely."""

import base64
import smtplib
import socket

from .tls import trusting_context


def message(sender: str, to: str, subject: str = "Hello", body: str = "Body", extra: str = "") -> bytes:
    """A small RFC 5322 message with CRLF line ends."""
    text = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n{extra}\r\n{body}\r\n"
    return text.encode()


def connect(port: int, sender=None, tls: str = "starttls") -> smtplib.SMTP:
    """A client that said EHLO, by the given kind of TLS, logged in when `sender` is given."""
    if tls == "implicit":
        client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=trusting_context())
    else:
        client = smtplib.SMTP("127.0.0.1", port, timeout=30)
    client.ehlo("client.test")
    if tls == "starttls":
        client.starttls(context=trusting_context())
        client.ehlo("client.test")
    if sender is not None:
        client.login(sender.address, sender.password)
    return client


class Raw:
    """A line-by-line dialogue that checks nothing by itself."""

    def __init__(self, port: int, tls: bool = False, source: str | None = None):
        self._socket = socket.create_connection(
            ("127.0.0.1", port), timeout=20, source_address=(source, 0) if source else None)
        if tls:
            self._socket = trusting_context().wrap_socket(self._socket)
        self._buffer = b""
        self.closed = False
        self.greeting = self.reply()

    def send(self, data: bytes):
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def reply(self) -> str:
        """One whole reply, its lines joined by newlines; empty when the server closed."""
        lines = []
        while True:
            while b"\r\n" not in self._buffer:
                try:
                    more = self._socket.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    self.closed = True
                    return "\n".join(lines)
                self._buffer += more
            line, self._buffer = self._buffer.split(b"\r\n", 1)
            lines.append(line.decode(errors="replace"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def starttls(self) -> str:
        answer = self.say("STARTTLS")
        if answer.startswith("220"):
            self._socket = trusting_context().wrap_socket(self._socket)
        return answer

    def auth_plain(self, user: str, password: str) -> str:
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.say(f"AUTH PLAIN {token}")

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ready_session(port: int, sender, source: str | None = None) -> Raw:
    """TLS (implicit), EHLO and a login done."""
    raw = Raw(port, tls=True, source=source)
    raw.say("EHLO client.test")
    answer = raw.auth_plain(sender.address, sender.password)
    assert answer.startswith("235"), answer
    return raw
