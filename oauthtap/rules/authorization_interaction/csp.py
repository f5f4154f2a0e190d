"""The `form-action` directive of a Content-Security-Policy. Knows nothing of OAuth."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oauthtap.handshake.stages import Stage
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Response

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)


def policies(response: Response) -> list[tuple[str, ...]]:
    """The sources of every `form-action` of an answer; each policy has to allow a target."""
    found = []
    for policy in _split(response):
        for directive in policy.split(";"):
            name, *sources = directive.split() or [""]
            if name.lower() == "form-action":
                found.append(tuple(sources))
                break
    return found


def _split(response: Response) -> list[str]:
    return [p for line in response.header_lines("content-security-policy") for p in line.split(",")]


def hops(walked: Sequence[Stage]) -> list[str]:
    """Where the redirects lead that follow one after the other from the first exchange."""
    found: list[str] = []
    for stage in walked:
        if found and stage.url != found[-1]:
            continue
        response = stage.exchange.response
        location = response.header("location") if response and 300 <= response.status < 400 else None
        if location is None:
            break
        found.append(absolute(location, stage.url))
    return found


def allowed(target: str, all_policies: Sequence[Sequence[str]], page: str) -> bool:
    """Every policy has a source that the target matches (CSP 3, 6.7.2.8)."""
    return all(any(_matches(target, source, page) for source in sources) for sources in all_policies)


def _matches(target: str, source: str, page: str) -> bool:
    scheme = _scheme(target)
    if source == "'self'":
        return urls.origin(target) == urls.origin(page)
    if source == "*":
        return scheme in ("http", "https", "ws", "wss") or scheme == _scheme(page)
    if source.endswith(":") and _SCHEME.fullmatch(source):
        return scheme == source[:-1].lower() or (source.lower() == "http:" and scheme == "https")
    return not source.startswith("'") and _host_matches(target, source, page)


def _host_matches(target: str, source: str, page: str) -> bool:
    match = re.fullmatch(r"(?:([a-z][a-z0-9+.-]*)://)?(\*|[^/:\[\]]+|\[[^\]]*\])(?::(\d+|\*))?(/.*)?", source, re.I)
    parts = urls.split(target)
    if match is None or parts is None:
        return False
    wanted, host, port, _ = match.groups()
    scheme = (wanted or _scheme(page)).lower()
    if parts.scheme != scheme and (scheme, parts.scheme) != ("http", "https"):
        return False
    name, host = (parts.hostname or "").lower(), host.lower().strip("[]")
    same = host == "*" or name == host or (host.startswith("*.") and name.endswith(host[1:]))
    default = {"http": 80, "https": 443}
    actual = parts.port or default.get(parts.scheme)
    fits = port == "*" or actual in (int(port) if port else None, default.get(parts.scheme) if not port else None)
    # A path counts only before the first redirect (6.7.2.9), and every target here is behind one.
    return same and fits


def _scheme(url: str) -> str:
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def source_for(target: str) -> str:
    """The narrowest source that allows a target."""
    return urls.origin(target) if _scheme(target) in ("http", "https") else f"{_scheme(target)}:"


def shown(all_policies: Sequence[Sequence[str]]) -> str:
    return "; ".join(" ".join(sources) or "nothing" for sources in all_policies)


def opened(response: Response, target: str) -> str:
    """The policies with the target added to every `form-action`."""
    source = source_for(target)

    def with_source(match: re.Match[str]) -> str:
        return re.sub(r"\s*'none'", "", match[0].rstrip()) + f" {source}"

    return ", ".join(
        re.sub(r"\bform-action\b[^;]*", with_source, policy, flags=re.I).strip() for policy in _split(response)
    )
