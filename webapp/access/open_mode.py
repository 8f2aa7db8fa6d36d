"""Open mode: this machine's own browser and curl may recognise without signing in, and nobody else may."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


def violation(*, peer: str | None, headers: Mapping[str, str]) -> str | None:
    """Why a request is not this machine's own, or None when it is. Header names are in lower case."""
    if not peer or not _is_loopback(peer):
        return "the caller is another machine"
    if _host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
        return "it was addressed by a name that is not this machine's loopback name"
    forwarded = [name for name in FORWARDING if name in headers]
    if forwarded:
        return f"it came through a proxy ({forwarded[0]})"
    origin = headers.get("origin")
    if origin is not None and not _same_origin(origin, headers.get("host", "")):
        return "another site's page sent it (Origin)"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "another site's page sent it (Sec-Fetch-Site)"
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].split("]")[0].lower()
    return host.rsplit(":", 1)[0].lower() if ":" in host else host.lower()


def _same_origin(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
