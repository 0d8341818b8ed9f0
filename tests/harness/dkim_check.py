"""Verification of a delivered mail's DKIM signature by dkimpy, with the key that DNS serves."""

import dkim

from .dns import DnsServer


def verify(content: bytes, dns: DnsServer) -> bool:
    """True when the (first) DKIM-Signature holds against the TXT record in `dns`."""
    def txt(name, timeout=5):
        found = dns.lookup_txt(name.decode().rstrip("."))
        return found.decode() if found else None

    return dkim.verify(content, dnsfunc=txt)


def tags(content: bytes) -> dict[str, str]:
    """The tags of the first DKIM-Signature header."""
    lines = content.split(b"\r\n\r\n", 1)[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ").split(b"\r\n")
    value = next(line for line in lines if line.lower().startswith(b"dkim-signature:")).split(b":", 1)[1].decode()
    return {k.strip(): v.strip() for k, v in (part.split("=", 1) for part in value.split(";") if "=" in part)}
