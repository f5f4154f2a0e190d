"""What cannot pass under local names, each in one sentence that ends in the command that works.

Names are signed over, or a certificate ends at us: then no local origin can stand in, and
only the client under its real names tells something (`oauthtap run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from oauthtap.handshake.stages import text, texts
from oauthtap.model.exchange import Request, Response
from oauthtap.redaction.alias_format import claims
from oauthtap.rewriting.callback_relay import RedirectUriMap
from oauthtap.rewriting.responses import SIGNED_METHODS, DocumentKind

RUN = "with its real names it can: oauthtap run -- COMMAND (COMMAND starts the client)"
_TLS_METHODS = {"tls_client_auth", "self_signed_tls_client_auth"}


class Limitation(NamedTuple):
    kind: str
    """One of each kind is enough."""
    sentence: str


_DPOP = Limitation("dpop", f"DPoP signs the URL, a local one here, so a server that checks it cannot accept it; {RUN}")
_ASSERTION = Limitation(
    "assertion",
    "With `private_key_jwt` the client signs for the token endpoint's URL, a local one here, so a server that checks "
    f"it cannot accept it; {RUN}",
)
_REQUEST_OBJECT = Limitation(
    "request-object",
    f"The signed `request` object holds local URLs, so a server that checks them cannot accept it; {RUN}",
)
_CERTIFICATE = Limitation(
    "certificate",
    "The authorization server wants the client's certificate (mutual TLS), which ends at any proxy, so no sign-in "
    "works through one; without a client its documents can be judged: oauthtap probe URL",
)
_SIGNED_METADATA = Limitation(
    "signed-metadata",
    f"`signed_metadata` cannot be renamed and was left out, so a client that wants it signed cannot go on; {RUN}",
)


def in_request(asked: Request) -> Iterator[Limitation]:
    """What in a request of the client is signed over local URLs."""
    if asked.header("dpop") is not None:
        yield _DPOP
    if not (given := (*asked.query, *asked.form)):
        return
    named = {name for name, _ in given}
    if "client_assertion" in named:
        yield _ASSERTION
    if "request" in named and "client_id" in named:
        yield _REQUEST_OBJECT


def in_answer(kind: DocumentKind, answer: Response, swap: RedirectUriMap) -> Iterator[Limitation]:
    """What in an answer, as the upstream sent it, a client under local names cannot fulfil.

    `swap`: our redirect URIs that stood in the request, to the client's own.
    """
    if swap and answer.status >= 400 and "redirect" in (answer.body or "").lower():
        yield _pinned(swap)
    if answer.status not in (200, 201) or not kind.endswith(("metadata", "token")):
        return
    document = answer.json_object
    if kind.endswith("metadata"):
        if text(document.get("signed_metadata")):
            yield _SIGNED_METADATA
        methods = set(texts(document.get("token_endpoint_auth_methods_supported")))
        if methods and methods <= _TLS_METHODS:
            yield _CERTIFICATE
        elif methods and methods <= _TLS_METHODS | SIGNED_METHODS:
            yield _ASSERTION
        if document.get("dpop_bound_access_tokens_required") is True:
            yield _DPOP
        return
    if (text(document.get("token_type")) or "").lower() == "dpop":
        yield _DPOP
    bound = (claims(text(document.get("access_token")) or "") or {}).get("cnf")
    if isinstance(bound, dict) and "x5t#S256" in bound:
        yield _CERTIFICATE


def _pinned(swap: RedirectUriMap) -> Limitation:
    ours, theirs = next(iter(swap.items()))
    return Limitation(
        "pinned-callback",
        f"The authorization server refuses a redirect URI, and {ours} stood there for the client's {theirs}, so it may "
        f"refuse no more than that; {RUN}",
    )
