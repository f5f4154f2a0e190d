"""The syntax of a challenge: commas, quotes, spelling, and what parsers read."""

from __future__ import annotations

import re
from dataclasses import replace

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Mcp, StepUp, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.model.www_authenticate import Challenge as Parsed
from oauthtap.model.www_authenticate import Param, format_challenges, parse_like_sdks, without_quoted
from oauthtap.rules import rule

_AT = "response.header.www-authenticate"
_READ = ("resource_metadata", "scope", "error")
"""The parameters that clients read."""
_CURLY = "'‘’“”«»"


def _tidied(stage: Mcp) -> Patch:
    """The header as the tolerant reader understood it, written by the book."""
    return Patch(headers={"WWW-Authenticate": format_challenges(stage.challenged.challenges)})


@rule(
    "challenge-comma-after-scheme",
    must(
        "RFC 9110 §11.6.1 (challenge list syntax) and §11.2",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1",
    ),
    who="resource-server",
    severity="warning",
)
def comma_after_scheme(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A comma follows `Bearer` in the challenge.

    The comma ends the challenge. A strict parser sees an empty Bearer challenge followed by
    something invalid, and loses `resource_metadata`.

    Usual causes: scheme and parameters were joined as one list.

    Repair: Remove the comma after `Bearer`; commas belong between parameters only.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer, resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    if "comma-after-scheme" in stage.challenged.deviations:
        yield Problem(
            message="A comma follows the scheme, which ends the challenge; it has to be one space",
            at=_AT,
            expected="Bearer name=…",
            actual="Bearer, name=…",
            patch=_tidied(stage),
        )


@rule(
    "challenge-missing-comma",
    must("RFC 9110 §11.2 and §11.6.1", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2"),
    who="resource-server",
    severity="warning",
)
def missing_comma(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A comma is missing between two parameters or two challenges in `WWW-Authenticate`.

    A strict parser stops at the first parameter; parsers that search by pattern often find the
    rest. So it works with some clients and not with others.

    Repair: Put a comma between parameters, and between challenges.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer realm="mcp" resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer realm="mcp", resource_metadata="https://mcp.example.com/prm"
    """
    if "missing-comma" not in stage.challenged.deviations:
        return
    masked = without_quoted(stage.challenged.raw)
    challenge = re.search(r'["\w]\s+([A-Za-z][\w-]*)\s+[\w-]+\s*=', masked)
    parameter = re.search(r'["\w]\s+([\w-]+)\s*=', masked.partition(" ")[2])
    between = "challenges" if challenge and len(stage.challenged.challenges) > 1 else "parameters"
    name = challenge[1] if challenge and between == "challenges" else (parameter[1] if parameter else "")
    yield Problem(
        message=f"There is no comma before `{name}`; {between} have to be separated by commas",
        at=_AT,
        expected=f", {name}",
        actual=f" {name}",
        patch=_tidied(stage),
    )


@rule(
    "challenge-unquoted-url",
    must("RFC 9110 §11.2 and §5.6.4", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def unquoted_url(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A URL in the challenge is not quoted.

    An unquoted value may contain neither `:` nor `/`. Strict parsers, and older ones that search
    for the quotes, do not find `resource_metadata`.

    Repair: Put the URL into double quotes.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata=https://mcp.example.com/prm

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    for param in _params(stage):
        plain = not param.quoted and param.value[:1] not in _CURLY
        if plain and param.name.lower() in ("resource_metadata", "error_uri") and re.search("[:/]", param.value):
            yield Problem(
                message=f"{param.name} is {param.value} without quotation marks; a URL has to be quoted",
                at=f"{_AT}.{param.name.lower()}",
                expected=f'"{param.value}"',
                actual=param.value,
                patch=_tidied(stage),
            )


def _params(stage: Mcp) -> list[Param]:
    return [param for challenge in stage.challenged.challenges for param in challenge.params]


@rule(
    "challenge-bad-quotes",
    must("RFC 9110 §5.6.4", "https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.4"),
    who="resource-server",
    stops_at=("as-discovery", "client-registration"),
)
def bad_quotes(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A parameter of the challenge has wrong or unclosed quotes.

    Only the plain double quote (`"`) is a quote. Any other mark becomes part of the value, so the
    client asks for a URL that begins with an apostrophe.

    Usual causes: single quotes, quotes pasted from a word processor, a template without the last
    one.

    Repair: Use plain double quotes (`"`), one before and one after each value.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata='https://mcp.example.com/prm'

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    if "bad-quotes" not in stage.challenged.deviations:
        return
    for param in _params(stage):
        if not param.quoted and param.value[:1] in _CURLY:
            name, kind = param.name, f"the quotation mark {param.value[0]}"
            break
    else:
        kind = "a quotation mark that is never closed"
        last = re.search(r'([\w-]+)\s*=\s*"(?:[^"\\]|\\.)*$', stage.challenged.raw)
        name = last[1] if last else "a value"
    yield Problem(
        message=f'{name} has {kind}; it has to be in plain double quotes (")',
        at=f"{_AT}.{name.lower()}" if name != "a value" else _AT,
        expected='"…"',
        actual=kind,
        patch=Patch(headers={"WWW-Authenticate": _requoted(stage.challenged.raw)}),
    )


def _requoted(raw: str) -> str:
    """Every value between plain double quotes, as the sender must have meant it."""
    masked = re.sub(r"""=\s*[‘’“”«»']([^‘’“”«»'"]*)[‘’“”«»']?""", r'="\1"', raw)
    open_ended = re.sub(r'=\s*"([^"\\,]*)$', r'="\1"', masked)
    return open_ended if without_quoted(open_ended).count('"') % 2 == 0 else open_ended + '"'


@rule(
    "challenge-duplicate-param",
    must("RFC 9110 §11.2; RFC 6750 §3", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2"),
    who="resource-server",
    severity="warning",
)
def duplicate_param(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A parameter occurs twice in one challenge.

    Some clients take the first value, some the last, so they use different metadata URLs or scopes.

    Usual causes: two layers that both add to the header.

    Repair: Send each parameter once per challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="read", resource_metadata="https://mcp.example.com/prm", scope="write"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="read", resource_metadata="https://mcp.example.com/prm"
    """
    kept = [_each_once(challenge) for challenge in stage.challenged.challenges]
    for challenge in stage.challenged.challenges:
        names = [param.name.lower() for param in challenge.params]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            yield Problem(
                message=f"{twice[0]} occurs {names.count(twice[0])} times in one challenge; it may occur once",
                at=f"{_AT}.{twice[0]}",
                expected="once",
                actual=f"{names.count(twice[0])} times",
                patch=Patch(headers={"WWW-Authenticate": format_challenges(kept)}),
            )


def _each_once(challenge: Parsed) -> Parsed:
    by_name: dict[str, Param] = {}
    for param in challenge.params:
        by_name.setdefault(param.name.lower(), param)
    return replace(challenge, params=tuple(by_name.values()))


@rule(
    "challenge-param-charset",
    must("RFC 6750 §3", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3"),
    who="resource-server",
    severity="warning",
    stops_only_at=(),
)
def param_charset(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A parameter of the challenge contains characters that are not allowed in a header.

    Double quotes, backslashes, line breaks and non-ASCII characters break simple parsers, and
    proxies may truncate the header there.

    Usual causes: the message of an exception, or a translated text, copied into `error_description`.

    Repair: Keep `error`, `error_description` and `scope` to printable ASCII without `"` and `\\`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error="invalid_token", error_description="Token abgelaufen für Müller"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error="invalid_token", error_description="Token expired"
    """
    foreign = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
    for param in _bearer_params(stage):
        odd = foreign.search(param.value)
        if odd and param.value[:1] not in _CURLY:
            cleaned = [
                replace(c, params=tuple(replace(p, value=foreign.sub(" ", p.value)) for p in c.params))
                for c in stage.challenged.challenges
            ]
            yield Problem(
                message=f"{param.name} holds the character {odd[0]!r}; only printable ASCII without quotes is allowed",
                at=f"{_AT}.{param.name.lower()}",
                expected="printable ASCII",
                actual=repr(odd[0]),
                patch=Patch(headers={"WWW-Authenticate": format_challenges(cleaned)}),
            )
            return


def _bearer_params(stage: Mcp) -> list[Param]:
    names = ("error", "error_description", "scope")
    bearers = [challenge for challenge in stage.challenged.challenges if challenge.is_bearer()]
    return [param for challenge in bearers for param in challenge.params if param.name.lower() in names]


@rule(
    "challenge-param-spelling",
    practice("RFC 9110 §11.2", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2"),
    who="resource-server",
    severity="warning",
)
def param_spelling(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A parameter name in the challenge has capitals, or spaces around `=`.

    Both reference SDKs search for the name in lower case followed directly by `=`. With capitals,
    or spaces around the `=`, they miss the parameter.

    Repair: Write parameter names in lower case and no spaces around `=`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer Resource_Metadata = "https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    for param in _params(stage):
        if param.name.lower() in _READ and (param.spaced or param.name != param.name.lower()):
            proper = [
                replace(c, params=tuple(replace(p, name=p.name.lower()) for p in c.params))
                for c in stage.challenged.challenges
            ]
            how = "with spaces around =" if param.spaced else f"as {param.name}"
            yield Problem(
                message=f"{param.name.lower()} is written {how}; common clients find only `{param.name.lower()}=`",
                at=f"{_AT}.{param.name.lower()}",
                expected=f"{param.name.lower()}=",
                actual=f"{param.name} =" if param.spaced else f"{param.name}=",
                patch=Patch(headers={"WWW-Authenticate": format_challenges(proper)}),
            )


@rule(
    "challenge-text-confuses-readers",
    practice(
        "RFC 9110 §11.2 and §5.6.4 (quoted text is data)", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2"
    ),
    who="resource-server",
    severity="warning",
)
def text_confuses_readers(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """A text in the challenge contains `scope=` or the like, and SDKs read it as the parameter.

    The SDKs do not parse the header. They search it for `scope=` or `resource_metadata=` and take
    the first match, even inside a description.

    Repair: Put the real parameters first, and keep `name=` out of descriptions and realms.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error_description="add scope=all please", scope="read"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="read", error_description="add more please"
    """
    parsed = stage.challenged
    bearers = [challenge for challenge in parsed.challenges if challenge.is_bearer()]
    if len(bearers) != 1 or "bad-quotes" in parsed.deviations:
        return
    masked = without_quoted(parsed.raw)
    for name in _READ:
        meant, read = bearers[0].get(name), parse_like_sdks([parsed.raw], name)
        place = parsed.raw.find(f"{name}=")
        inside = place >= 0 and masked[place : place + len(name)] != name
        elsewhere = len(parsed.challenges) > 1 and meant != read and not _misspelt(bearers[0], name)
        if read is not None and meant != read and (inside or elsewhere) and meant != "":
            yield Problem(
                message=f"Clients that search the header read {name} as {read[:60]}; the challenge says {meant or 'nothing'}",
                at=f"{_AT}.{name}",
                expected=meant or "nothing to be found",
                actual=read[:60],
                patch=Patch(headers={"WWW-Authenticate": _real_first(parsed.challenges)}),
            )


def _misspelt(challenge: Parsed, name: str) -> bool:
    return any(p.name.lower() == name and (p.spaced or p.name != name) for p in challenge.params)


def _real_first(challenges: tuple[Parsed, ...]) -> str:
    """Bearer first, what clients read first in it, and no `name=` inside any other text."""
    looks_like = re.compile(rf"({'|'.join(_READ)})=")
    ordered = []
    for challenge in sorted(challenges, key=lambda c: not c.is_bearer()):
        plain = [
            p if p.name.lower() in _READ else replace(p, value=looks_like.sub(r"\1 ", p.value))
            for p in challenge.params
        ]
        plain.sort(key=lambda p: p.name.lower() not in _READ)
        ordered.append(replace(challenge, params=tuple(plain)))
    return format_challenges([c for c in ordered if c.is_bearer()] or ordered)
