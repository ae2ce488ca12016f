"""Who may use the gateway: where it may listen, the keys it takes, the browser origins it trusts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.problems import Problem
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

SUBPROTOCOL = "rtrag.v1"
ANYBODY = "anybody"  # the principal where no keys are set
_BEARER = "bearer."


def check_binding(settings: Settings) -> None:
    """See that nobody outside this machine gets in by accident.

    Raises:
        ConfigurationError: HOST is beyond loopback, there are no API_KEYS, and ALLOW_UNAUTHENTICATED is not set.
    """
    if is_loopback(settings.host) or _keys(settings) or settings.allow_unauthenticated:
        return
    raise ConfigurationError(
        f"HOST={settings.host} lets other machines in and nobody would be asked for a key. Set API_KEYS, or keep "
        "HOST=127.0.0.1, or set ALLOW_UNAUTHENTICATED=true if something in front checks who comes."
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only.

    >>> is_loopback("localhost"), is_loopback("127.0.0.9"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, True, False, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def principal_of(settings: Settings, headers: Mapping[str, str], subprotocols: list[str] | None = None) -> str:
    """Who comes with these headers (names in lower case) and WebSocket sub-protocols.

    Raises:
        Problem: 401, keys are set and none of them came.
    """
    keys = _keys(settings)
    if not keys:
        return ANYBODY
    given = _given(headers, subprotocols or [])
    for key in keys:
        if given is not None and hmac.compare_digest(key.encode(), given.encode("utf-8", "replace")):
            return _named(key)
    how = "X-API-Key, Authorization: Bearer, or the WebSocket sub-protocol bearer.<base64url of the key>"
    raise Problem(401, "UNAUTHORIZED", f"this gateway wants one of its API keys, in {how}")


def check_operator(settings: Settings, principal: str) -> None:
    """See that a principal may read what all others said: where there are keys, the first of them is the operator's.

    Raises:
        Problem: 403, another key came.
    """
    keys = _keys(settings)
    if keys and principal != _named(keys[0]):
        raise Problem(403, "UNAUTHORIZED", "this reads the sessions of everybody; only the first of API_KEYS may do so")


def _named(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def check_origin(settings: Settings, headers: Mapping[str, str]) -> None:
    """See that a browser's page may talk to us; what sends no Origin is no browser.

    On a loopback address without keys our own name does not count as an origin: any web site may point its name at
    127.0.0.1 and would then be "our own".

    Raises:
        Problem: 403, a foreign origin.
    """
    origin = headers.get("origin")
    if origin is None or origin in _listed(settings.allowed_origins):
        return
    host, address = _address(origin)
    if is_loopback(host):
        return
    ours_counts = bool(_keys(settings)) or not is_loopback(settings.host)
    if ours_counts and address and address == headers.get("host"):
        return
    raise Problem(403, "UNAUTHORIZED", f"pages of {origin} may not use this gateway; ALLOWED_ORIGINS lists who may")


def _address(origin: str) -> tuple[str, str]:
    try:
        parts = urlsplit(origin)
        return parts.hostname or "", parts.netloc
    except ValueError:
        return "", ""


def _keys(settings: Settings) -> list[str]:
    return _listed(settings.api_keys)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _given(headers: Mapping[str, str], subprotocols: list[str]) -> str | None:
    if key := headers.get("x-api-key"):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return next((_unpack(name) for name in subprotocols if name.startswith(_BEARER)), None)


def _unpack(subprotocol: str) -> str | None:
    token = subprotocol.removeprefix(_BEARER)
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
