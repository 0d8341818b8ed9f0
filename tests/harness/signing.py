"""A hand-made ACS3-HMAC-SHA256 request, so that each part of it can be broken on purpose (dossier 5.2)."""

import datetime
import hashlib
import hmac
import secrets
import urllib.parse

import requests


def _encode(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


class Request:
    """One signed call; change attributes before `send` to break it after signing, or build arguments before."""

    def __init__(self, endpoint: str, key_id: str, secret: str, action: str, query: dict | None = None,
                 form: dict | None = None, method: str = "POST", version: str = "2015-11-23",
                 date: datetime.datetime | None = None, nonce: str | None = None, unsigned: tuple[str, ...] = (),
                 accept: str = "application/json"):
        self.method, self.endpoint, self.query = method, endpoint, dict(query or {})
        self.body = urllib.parse.urlencode(form or {}).encode()
        date = date or datetime.datetime.now(datetime.timezone.utc)
        self.headers = {
            "host": endpoint, "x-acs-action": action, "x-acs-version": version, "accept": accept,
            "x-acs-date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": nonce or secrets.token_hex(16),
            "x-acs-content-sha256": hashlib.sha256(self.body).hexdigest(),
        }
        if self.body:
            self.headers["content-type"] = "application/x-www-form-urlencoded"
        names = sorted(name for name in self.headers if name not in unsigned)
        canonical = "\n".join([
            method, "/", "&".join(f"{_encode(k)}={_encode(str(v))}" for k, v in sorted(self.query.items())),
            *(f"{name}:{self.headers[name]}" for name in names), "", ";".join(names),
            self.headers["x-acs-content-sha256"]])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        self.headers["Authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}")

    def send(self) -> requests.Response:
        return requests.request(self.method, f"http://{self.endpoint}/", params=self.query or None, data=self.body,
                                headers=self.headers, timeout=20)
