"""A message centre (SMPP 3.4) made of the package smpp34: takes texts, keeps them, answers as told.

In a test: `with Smsc() as smsc:`, the server's `[sms.smpp] address` at `smsc.address`, then `smsc.wait_for("+8613800000000")`.
From a shell, in this folder's parent: `python -m harness.smsc --port 2775` prints one JSON line for each thing that
happens; it ends when its standard input does.

smpp34 accepts any system_id and password, and acknowledges enquire_link by itself. It runs in a process of its own: its
threads may outlive the interpreter's end, which would then abort the tests' process too.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import traceback
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import smpp34

from .ports import free_port
from .waiting import wait_until

HOST = "127.0.0.1"
LISTEN_ATTEMPTS = 5
START_S = 20
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
    """A message centre on loopback, in a process of its own, as a test sees it.

    `answers` are the command statuses of the first parts, in order; every further part is taken. With `receipts`, a
    part that is taken over a transceiver session is followed by a delivery receipt.
    """

    def __init__(self, port: int | None = None, answers: list[int] | None = None, receipts: bool = False):
        self.address: str | None = None
        self.parts: list[Part] = []
        self.binds: list[str] = []
        self.receipts_acknowledged = 0
        self._lock = threading.Lock()
        self._known = threading.Event()
        command = [sys.executable, "-m", "harness.smsc"]
        command += ["--port", str(port)] if port else []
        command += [f"--answer={status}" for status in answers or []]
        command += ["--receipts"] if receipts else []
        self._process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, name="smsc", daemon=True)
        self._reader.start()
        if not self._known.wait(START_S) or not self.address:
            self.stop()
            raise RuntimeError("the message centre did not start; see its standard error")

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
        if not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self._process.stdout:
            event = json.loads(line)
            kind = event.pop("event")
            with self._lock:
                if kind == "listening":
                    self.address = event["address"]
                    self._known.set()
                elif kind == "bind":
                    self.binds.append(event["system_id"])
                elif kind == "submit":
                    self.parts.append(Part(**event))
                elif kind == "receipt":
                    self.receipts_acknowledged += event["acknowledged"]
        # The end of its output, after a failed start too.
        self._known.set()


class _Centre:
    """The message centre itself; tells what happens on standard output."""

    def __init__(self, port: int | None, answers: list[int], receipts: bool):
        self.port, self.port_is_given = port or free_port(), port is not None
        self.answers, self.receipts = answers, receipts
        self.sessions, self.taken, self.receipts_under_way = {}, 0, set()

    async def serve(self):
        server = await self._listen()
        _tell("listening", address=f"{HOST}:{self.port}")
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions[event.session_id] = event
                _tell("bind", system_id=event.system_id)
            elif isinstance(event, smpp34.SubmitSmEvent):
                self._take(event)
            elif isinstance(event, smpp34.Unbound):
                self.sessions.pop(event.session_id, None)
                _tell("unbound")

    async def _listen(self):
        """Another process may take a free port before this one does; a given port is tried once."""
        for attempts_left in reversed(range(1 if self.port_is_given else LISTEN_ATTEMPTS)):
            server = smpp34.Server(HOST, self.port, system_id="TestSMSC")
            try:
                await server.start()
                return server
            except Exception:
                if not attempts_left:
                    raise
                self.port = free_port()

    def _take(self, event):
        status = self.answers.pop(0) if self.answers else smpp34.ESME_ROK
        self.taken += 1
        message_id = f"smsc-{self.taken}" if status == smpp34.ESME_ROK else None
        part = _part(event, status, message_id)
        _tell("submit", **asdict(part))
        if message_id is None:
            event.reject(status)
            return
        event.accept(message_id)
        session = self.sessions.get(event.session_id)
        if self.receipts and session and session.can_receive:
            receipt = asyncio.get_running_loop().create_task(self._send_receipt(session, part))
            self.receipts_under_way.add(receipt)
            receipt.add_done_callback(self.receipts_under_way.discard)

    @staticmethod
    async def _send_receipt(session, part: Part):
        receipt = f"id:{part.message_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:".encode()
        answer = await session.deliver_sm(part.source, receipt, source_addr=part.to[1:], esm_class=DELIVERY_RECEIPT)
        _tell("receipt", acknowledged=answer.is_success)


def _tell(kind: str, **fields):
    print(json.dumps({"event": kind} | fields), flush=True)


def _end_with_standard_input():
    sys.stdin.read()
    # Not sys.exit: smpp34's threads call into an interpreter that is being taken down, and abort the process.
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="default: a free one, named in the first line")
    parser.add_argument("--answer", type=lambda text: int(text, 0), action="append", default=[], metavar="STATUS",
                        help="command status for the first parts, one option each")
    parser.add_argument("--receipts", action="store_true", help="send a delivery receipt for each part")
    arguments = parser.parse_args()
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    try:
        asyncio.run(_Centre(arguments.port, arguments.answer, arguments.receipts).serve())
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
