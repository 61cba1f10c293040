"""How pods reach the outside in a company's network: proxy, certificates, mirrors of public services.

Only frontends and downloads get these. Workers talk HTTP to each other (SGLang's bootstrap server, Dynamo), and a proxy
would stand between them; the gcsfuse sidecar takes no settings and needs Private Google Access.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from validation.problems import HIDDEN, RuleError

NO_PROXY: Final = (
    "localhost",
    "127.0.0.1",
    "169.254.169.254",
    "metadata.google.internal",
    ".googleapis.com",
    ".svc",
    ".cluster.local",
)
"""Reached directly: the metadata server (every token), Google's APIs over Private Google Access, the cluster."""

CA_FOLDER: Final = "/etc/company-ca"
CA_KEY: Final = "ca.crt"
CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""What OpenSSL and httpx, requests, curl and pip read."""

KEYS: Final[Mapping[str, str]] = {
    **{name: "pods.proxy" for base in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY") for name in (base, base.lower())},
    **dict.fromkeys(CA_VARIABLES, "pods.caBundle"),
    "HF_ENDPOINT": "pods.hubEndpoint",
}
"""Variables that a key of the config sets."""

_IN_CLUSTER: Final = re.compile(r"[a-z0-9-]+\.(?P<namespace>[a-z0-9-]+)\.svc(\..*)?")
_SERVER: Final = re.compile(r"((?P<scheme>[a-z]+)://)?(?P<host>[A-Za-z0-9][-.A-Za-z0-9]*)(:(?P<port>[0-9]{1,5}))?")
_PORTS: Final = {"https": 443, "http": 80}
_URL: Final = re.compile(r"https?://[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?(:(?P<port>[0-9]{1,5}))?(/[!-~]*)?")
_PEM: Final = re.compile(
    r"-----BEGIN (TRUSTED )?CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END (TRUSTED )?CERTIFICATE-----"
)


@dataclass(frozen=True)
class Address:
    """A server that the config names."""

    host: str
    port: int

    @property
    def is_ip(self) -> bool:
        """Whether the host is an IPv4 address."""
        try:
            ipaddress.IPv4Address(self.host)
        except ValueError:
            return False
        return True

    @property
    def namespace(self) -> str | None:
        """The namespace of a Service of the cluster; None for other hosts."""
        found = _IN_CLUSTER.fullmatch(self.host)
        return found["namespace"] if found else None

    def avoids(self, without: Iterable[str]) -> bool:
        """Whether it is reached without a proxy, by entries of NO_PROXY: a host, or a domain with all that is in it."""
        ends = (entry.lstrip("*").lstrip(".") for entry in without)
        return any(self.host == end or self.host.endswith(f".{end}") for end in ends)


def address(url: str) -> Address:
    """The server of a URL that `check_url` accepts, or of HOST:PORT."""
    found = _SERVER.match(url)
    return Address(found["host"], int(found["port"] or _PORTS.get(found["scheme"], 0))) if found else Address("", 0)


def check_url(url: str, key: str) -> None:
    """Raise `RuleError` unless `url` is an address of HTTP without a user."""
    if "@" in url:
        rule = "a password would be in plaintext in the config"
        raise RuleError(key, HIDDEN, rule, "leave out the user: let the proxy or mirror know the cluster's addresses")
    found = _URL.fullmatch(url)
    if found is None or int(found["port"] or 1) not in range(1, 2**16):
        rule = "a mirror or proxy has an address of http or https"
        raise RuleError(key, url, rule, "write it like https://mirror.example.com/simple")


def check_certificates(text: str, key: str) -> None:
    """Raise `RuleError` unless `text` has certificates in PEM and no private key."""
    if "PRIVATE KEY" in text:
        raise RuleError(key, HIDDEN, "a private key is not a certificate", "take it out, and replace the key")
    if not 0 < len(_PEM.findall(text)) == text.count("-----BEGIN "):
        raise RuleError(key, HIDDEN, "certificates stand between BEGIN and END CERTIFICATE lines", "give PEM text")


def environment(
    *,
    proxy: str | None,
    direct: Iterable[str],
    hub: str | None,
    pip_index: str | None = None,
    certificates: bool,
) -> Mapping[str, str]:
    """Variables of a container that reaches the outside; `direct` is reached without the proxy, beside `NO_PROXY`."""
    found: dict[str, str] = {}
    if proxy is not None:
        without = ",".join(dict.fromkeys((*NO_PROXY, *direct)))
        # Programs read one or the other spelling.
        for name, value in (("HTTPS_PROXY", proxy), ("HTTP_PROXY", proxy), ("NO_PROXY", without)):
            found[name] = found[name.lower()] = value
    if hub is not None:
        found["HF_ENDPOINT"] = hub
    if pip_index is not None:
        found["PIP_INDEX_URL"] = pip_index
    if certificates:
        found.update(dict.fromkeys(CA_VARIABLES, f"{CA_FOLDER}/{CA_KEY}"))
    return found
