"""The console without a browser: cookies and forms by hand."""

import re

import requests


class Visitor:
    def __init__(self, base: str):
        self.base = base
        self.session = requests.Session()

    def page(self, path: str = "/") -> requests.Response:
        return self.session.get(self.base + path, timeout=20)

    def form(self, html: str, wanted: str = "") -> tuple[str, dict]:
        """Action and hidden fields of the first POST form that contains `wanted`."""
        for attributes, content in re.findall(r"<form([^>]*)>(.*?)</form>", html, re.S):
            if "post" in attributes.lower() and wanted in content:
                action = re.search(r'action="([^"]*)"', attributes)
                fields = {}
                for tag in re.findall(r"<input[^>]*>", content):
                    name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
                    if name and "hidden" in tag:
                        fields[name[1]] = value[1] if value else ""
                return (action[1] if action else ""), fields
        raise AssertionError("no such form")

    def log_in(self, email: str, password: str) -> requests.Response:
        first = self.page()
        action, fields = self.form(first.text, "password")
        return self.session.post(requests.compat.urljoin(first.url, action),
                                 data=fields | {"email": email, "password": password}, timeout=20)
