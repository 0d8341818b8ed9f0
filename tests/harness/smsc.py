"""A message centre (SMPP 3.4) made of the package smpp34: takes texts, keeps them, answers as told.

In a test: `with Smsc() as smsc:`, the server's `[sms.smpp] address` at `smsc.address`, then `smsc.wait_for("+8613800000000")`.
From a shell, in this folder's parent: `python -m harness.smsc --port 2775` prints one JSON line for each thing that
happens; it ends when its standard input does.

smpp34 accepts any system_id and password, and acknowledges enquire_link by itself.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections import defaultdict
from dataclasses import asdict, dataclass

import smpp34

from .ports import free_port
from .waiting import wait_until

LISTEN_ATTEMPTS = 5
UDH_INDICATOR = 0x40
UCS2 = 8
DELIVERY_RECEIPT = 0x04
ESCAPE = 0x1B
# 3GPP TS 23.038 section 6.2.1 and its extension table.
GSM_ALPHABET = ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
                "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
GSM_EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]",
                 0x40: "|", 0x65: "€"}


def gsm_text(octets: bytes) -> str:
    shown, rest = [], iter(octets)
    for septet in rest:
        shown.append(GSM_EXTENSION[next(rest)] if septet == ESCAPE else GSM_ALPHABET[septet])
    return "".join(shown)


@dataclass
class Part:
    """One submit_sm as it came, and what it says: the whole text, or part `number` of `total`."""

    to: str
    to_ton: int
    to_npi: int
    source: str
    source_ton: int
    esm_class: int
    data_coding: int
    user_message_reference: int | None
    concatenation_reference: int | None
    number: int
    total: int
    text: str
    status: int
    message_id: str | None


def _part(event, status: int, message_id: str | None) -> Part:
    octets, reference, number, total = bytes(event.short_message), None, 1, 1
    if event.esm_class & UDH_INDICATOR:
        header, octets = octets[:octets[0] + 1], octets[octets[0] + 1:]
        if header[1:3] != b"\x00\x03":
            raise ValueError(f"no 8-bit concatenation header: {header.hex()}")
        reference, total, number = header[3:6]
    tlvs = {tlv.tag: tlv.as_int() for tlv in event.tlvs}
    return Part(
        to="+" + event.destination_addr, to_ton=event.dest_addr_ton, to_npi=event.dest_addr_npi,
        source=event.source_addr, source_ton=event.source_addr_ton, esm_class=event.esm_class,
        data_coding=event.data_coding, user_message_reference=tlvs.get(smpp34.TLV_USER_MESSAGE_REFERENCE),
        concatenation_reference=reference, number=number, total=total,
        text=octets.decode("utf-16-be") if event.data_coding == UCS2 else gsm_text(octets),
        status=status, message_id=message_id)


class Smsc:
    """A message centre on loopback, in a thread of its own.

    `answers` are the command statuses of the first parts, in order; every further part is taken. With `receipts`, a
    part that is taken over a transceiver session is followed by a delivery receipt.
    """

    def __init__(self, port: int | None = None, answers: list[int] | None = None, receipts: bool = False,
                 on_event=lambda event: None):
        self.host, self.port, self._port_is_given = "127.0.0.1", port or free_port(), port is not None
        self.parts: list[Part] = []
        self.binds: list[str] = []
        self.receipts_acknowledged = 0
        self._answers, self._receipts, self._on_event = list(answers or []), receipts, on_event
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="smsc", daemon=True)
        self._thread.start()
        if not self._ready.wait(10) or self._failure:
            raise RuntimeError(f"the message centre did not start on port {self.port}: {self._failure}")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def texts(self, to: str) -> list[str]:
        """The texts taken whole for a number, as its telephone shows them, in the order of their last parts."""
        with self._lock:
            parts = [part for part in self.parts if part.to == to and part.status == smpp34.ESME_ROK]
        whole, partial = [], defaultdict(dict)
        for part in parts:
            joined = partial[(part.user_message_reference, part.concatenation_reference, part.total)]
            joined[part.number] = part.text
            if len(joined) == part.total:
                whole.append("".join(joined.pop(number) for number in sorted(joined)))
        return whole

    def wait_for(self, to: str, count: int = 1, timeout_s: float = 20.0) -> list[str]:
        return wait_until(lambda: (got := self.texts(to)) and len(got) >= count and got,
                          f"{count} text(s) for {to} at the message centre {self.address}", timeout_s)

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._serving.cancel)
            self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._serving = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(self._serving)
        except asyncio.CancelledError:
            pass
        except BaseException as failure:
            self._failure = failure
            self._on_event({"event": "failed", "why": repr(failure)})
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self):
        server = await self._listen()
        self._ready.set()
        self._on_event({"event": "listening", "address": self.address})
        sessions = {}
        try:
            while True:
                event = await server.next()
                if isinstance(event, smpp34.Esme):
                    sessions[event.session_id] = event
                    with self._lock:
                        self.binds.append(event.system_id)
                    self._on_event({"event": "bind", "system_id": event.system_id})
                elif isinstance(event, smpp34.SubmitSmEvent):
                    self._take(event, sessions.get(event.session_id))
                elif isinstance(event, smpp34.Unbound):
                    sessions.pop(event.session_id, None)
                    self._on_event({"event": "unbound"})
        finally:
            await server.stop()

    async def _listen(self):
        """Another process may take a free port before this one does; a given port is tried once."""
        for attempts_left in reversed(range(1 if self._port_is_given else LISTEN_ATTEMPTS)):
            server = smpp34.Server(self.host, self.port, system_id="TestSMSC")
            try:
                await server.start()
                return server
            except Exception:
                if not attempts_left:
                    raise
                self.port = free_port()

    def _take(self, event, session):
        with self._lock:
            status = self._answers.pop(0) if self._answers else smpp34.ESME_ROK
            message_id = f"smsc-{len(self.parts) + 1}" if status == smpp34.ESME_ROK else None
            part = _part(event, status, message_id)
            self.parts.append(part)
        if status == smpp34.ESME_ROK:
            event.accept(message_id)
        else:
            event.reject(status)
        self._on_event({"event": "submit"} | asdict(part))
        if self._receipts and message_id and session and session.can_receive:
            self._loop.create_task(self._send_receipt(session, part))

    async def _send_receipt(self, session, part: Part):
        receipt = f"id:{part.message_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:".encode()
        answer = await session.deliver_sm(part.source, receipt, source_addr=part.to[1:], esm_class=DELIVERY_RECEIPT)
        if answer.is_success:
            with self._lock:
                self.receipts_acknowledged += 1
        self._on_event({"event": "receipt", "acknowledged": answer.is_success})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="default: a free one, named in the first line")
    parser.add_argument("--answer", type=lambda text: int(text, 0), action="append", default=[], metavar="STATUS",
                        help="command status for the first parts, one option each")
    parser.add_argument("--receipts", action="store_true", help="send a delivery receipt for each part")
    arguments = parser.parse_args()
    printing = threading.Lock()

    def tell(event: dict):
        with printing:
            print(json.dumps(event), flush=True)

    with Smsc(arguments.port, arguments.answer, arguments.receipts, tell):
        sys.stdin.read()


if __name__ == "__main__":
    main()
