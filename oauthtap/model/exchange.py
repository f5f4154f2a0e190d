"""`Request`, `Response` and `Exchange`: what went over the wire.

Everything here is in the upstream's own URLs. `None` always means *unseen*: the
value may have been there, and we did not get to look at it. An empty string means
we looked, and it was empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any, Literal, Self, cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AliasGenerator, BaseModel, ConfigDict

Actor = Literal["client", "browser", "authorization-server", "gateway", "reporter"]
"""Who sent the request. Only what `client` and `browser` did says anything about the client."""

Pairs = tuple[tuple[str, str], ...]


HEADER_CACHE = 256
"""How many blocks of header lines are kept as they were worked out: a client sends the same ones again and again."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that may be one half of a character alone, which JSON can say and no file can hold."""


def is_stand_in(text: str) -> bool:
    """A URL (or words with one) that a reader put where what it read shows none: `…/token-endpoint-not-shown`."""
    return "-not-shown" in text


BLANKED = "unseen"
"""How the value begins that a reader puts where whoever pasted a URL took one out."""


class Unseen(Exception):
    """A rule asked for something the recording does not hold. The text says what."""


_strict = [False]


@contextmanager
def strict() -> Iterator[None]:
    """Inside, asking a partial message for a header line that is not there raises Unseen: rules are asked so."""
    before = _strict[0]
    _strict[0] = True
    try:
        yield
    finally:
        _strict[0] = before


class Value(BaseModel):
    """A frozen value. pydantic looks at it where it comes from outside; inside, `model_construct` makes one of parts
    that are of the right types already, and may hold what is no proper Unicode yet."""

    model_config = ConfigDict(frozen=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with changes. What was worked out from the old values is worked out anew."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy


def json_keys(**keys: str) -> ConfigDict:
    """The configuration of a model whose members have other keys in recordings and reports: `name="key"`.

    Both are taken, and the keys are written: these are what scripts rely on.
    """
    own = AliasGenerator(alias=cast(Callable[[str], str], keys.get))  # None: its key is its name
    return ConfigDict(frozen=True, alias_generator=own, validate_by_name=True, serialize_by_alias=True)


class Message(Value):
    """Header lines in the order they came, and a body decoded to text."""

    headers: Pairs = ()
    body: str | None = ""
    """`None`: there was a body and we have not seen it (streamed, or left out by a recorder)."""
    truncated: bool = False
    """The body is only the beginning (and perhaps the end) of what went over the wire."""
    partial: bool = False
    """Whoever recorded it shows some header lines or none: one that is not here is unseen, not absent."""

    def with_headers(self, headers: Pairs) -> Self:
        """The same message with other header lines. A body that was parsed is not parsed again."""
        copy = self.model_copy(update={"headers": headers})
        if (parsed := self.__dict__.get("json_value")) is not None:
            copy.__dict__["json_value"] = parsed
        return copy

    def header_lines(self, name: str) -> tuple[str, ...]:
        """Every line of that name, any case, in order. Raises Unseen inside `strict` where that cannot be told."""
        lines = self._named.get(name.lower(), ())
        if not lines:
            self._missed(name)
        return lines

    def header(self, name: str) -> str | None:
        """All lines of that name joined with commas (RFC 9110, 5.3), or None when there is none.

        Raises Unseen inside `strict` where that cannot be told.
        """
        lines = self._named.get(name.lower())
        if lines is None:
            self._missed(name)
            return None
        return lines[0] if len(lines) == 1 else ", ".join(lines)

    @cached_property
    def _named(self) -> dict[str, tuple[str, ...]]:
        """Rules ask for some 20 headers of a message; to find its lines among those of others takes as long as to
        read them."""
        return _by_name(self.headers)

    def _is_absent(self, name: str) -> bool:
        """A header that is said not to have been there."""
        return False

    def _missed(self, name: str) -> None:
        if self.partial and _strict[0] and not self._is_absent(name):
            raise Unseen(f"the recording does not show whether {name} was there")

    @property
    def media_type(self) -> str:
        """`text/html` of `Text/HTML; charset=utf-8`; empty when no Content-Type came."""
        if self.partial:
            self.header("content-type")
        return self._media_type

    @cached_property
    def _media_type(self) -> str:
        return (combined_header(self.headers, "content-type") or "").partition(";")[0].strip().lower()

    @cached_property
    def json_value(self) -> Any:
        """The body as JSON, or None when it is unseen, empty, or no JSON."""
        try:
            value = json.loads(self.body) if self.body else None
            value = _whole(value) if value is not None and _HALF.search(self.body or "") else value
            return _Shown(value) if self.truncated and isinstance(value, dict) else value
        except (ValueError, RecursionError):
            return None

    @cached_property
    def json_object(self) -> dict[str, Any]:
        """The body as one JSON object; an empty one when it is anything else."""
        return self.json_value if isinstance(self.json_value, dict) else {}

    @cached_property
    def form(self) -> Pairs:
        """The body as `application/x-www-form-urlencoded`, decoded once; `+` is a blank."""
        if not self.body or self.body.lstrip()[:1] in ("{", "[", "<"):
            return ()
        return _pairs(self.body)


class _Shown(dict[str, Any]):
    """The members of an object that are there to see: inside `strict`, one that is not raises Unseen."""

    def __missing__(self, name: str) -> Any:
        if _strict[0]:
            raise Unseen(f"the recording does not show whether {name} was there")
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (_strict[0] and self.__missing__(str(name)))

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401  (it is `get` itself)


class Request(Message):
    model_config = json_keys(unrecorded_headers="left_out", absent_headers="absent")

    method: str
    url: str
    unrecorded_headers: tuple[str, ...] = ()
    """Headers (in lower case) that the recorder drops: where one is missing, it is unseen."""
    absent_headers: tuple[str, ...] = ()
    """Headers (in lower case) that were not sent, as the text says that shows no others."""

    def _is_absent(self, name: str) -> bool:
        return name.lower() in self.absent_headers

    def unseen(self, name: str) -> bool:
        """Whether a header of that name was sent cannot be told."""
        return (
            not self._is_absent(name)
            and (self.partial or name.lower() in self.unrecorded_headers)
            and combined_header(self.headers, name.lower()) is None
        )

    @cached_property
    def carries_token(self) -> bool:
        """It has an access token with it, wherever that stands; true as well where that is unseen."""
        if self.unseen("authorization"):
            return True
        value = combined_header(self.headers, "authorization") or ""
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() in ("bearer", "dpop") or (value and not credentials):
            return bool(value)
        return first_value(self.query, "access_token") is not None

    @cached_property
    def parts(self) -> SplitResult:
        """The URL taken apart. A URL that cannot be taken apart has only a path."""
        try:
            return urlsplit(self.url)
        except ValueError:
            return SplitResult("", "", self.url, "", "")

    @property
    def path(self) -> str:
        """The path as it was sent, never percent-decoded."""
        return self.parts.path or "/"

    @cached_property
    def bare_url(self) -> str:
        """The URL without query and fragment."""
        return self.url.partition("#")[0].partition("?")[0]

    @cached_property
    def query(self) -> Pairs:
        return _pairs(self.parts.query)


class Response(Message):
    status: int


class Exchange(Value):
    """One request and its answer."""

    model_config = json_keys(
        started_at="at", duration="took", delivered_response="shown", forwarded_request="sent",
        applied_fixes="patched_by", active_fixes="fixes", injected_fault="injected",
    )  # fmt: skip

    id: int = 0
    """1 for the first exchange of a session; 0 until the tap has numbered it."""
    request: Request
    response: Response | None = None
    """`None`: no answer came, or it is still under way. `error` tells which."""
    error: str | None = None
    """Why there is no answer, or why its body could not be read, in the words of whoever met it."""
    started_at: float | None = None
    """When the request began: seconds since 1970. `None` when the recording does not know."""
    duration: float | None = None
    """Seconds until the answer was complete."""
    actor: Actor = "client"
    connection: str | None = None
    """Which client connection carried it, where that is known."""
    delivered_response: Response | None = None
    """What the client got in place of `response`, when a fix was on. Never judged."""
    forwarded_request: Request | None = None
    """What the upstream got in place of `request` (at the callback: the client), when a fix was on. Never judged."""
    applied_fixes: tuple[str, ...] = ()
    """The fixes that made `delivered_response` or `forwarded_request`."""
    active_fixes: tuple[str, ...] | None = None
    """From this exchange on these fixes are switched on; None: the same as before."""
    excerpt: bool = False
    """The recording tells of some exchanges only: one that is not in it may have happened all the same."""
    role: str | None = None
    """The stage that the recording itself says this was (`token-request`, …), where a log names it and no URL."""
    injected_fault: str | None = None
    """The fault oauthtap itself put here (`--inject`); never blamed on the upstream."""

    def as_json(self) -> str:
        """The exchange as JSON on one line, what is not said left out; it reads back as an equal one."""
        return self.model_dump_json(exclude_defaults=True)

    @property
    def status(self) -> int | None:
        return self.response.status if self.response else None

    @property
    def ok(self) -> bool:
        """The answer is a success (2xx)."""
        return self.response is not None and 200 <= self.response.status < 300

    @cached_property
    def patched(self) -> Exchange:
        """The exchange as it was with the fixes: what went on, and what came back. Itself where none changed it."""
        if self.delivered_response is None and self.forwarded_request is None:
            return self
        return self.replace(
            request=self.forwarded_request or self.request,
            response=self.delivered_response or self.response,
            delivered_response=None,
            forwarded_request=None,
        )

    def replace(self, **changes: Any) -> Exchange:
        """The same with changes."""
        return self.model_copy(update=changes)

    @property
    def ended(self) -> float | None:
        """When the answer was complete: seconds since 1970."""
        return None if self.started_at is None else self.started_at + (self.duration or 0.0)


def _whole(value: Any) -> Any:
    """The same value without halves of characters."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def combined_header(headers: Pairs, name: str) -> str | None:
    """All lines of that name (in lower case) joined with commas (RFC 9110, 5.3), or None when there is none."""
    lines = _by_name(headers).get(name)
    if lines is None:
        return None
    return lines[0] if len(lines) == 1 else ", ".join(lines)


@lru_cache(maxsize=HEADER_CACHE)
def _by_name(headers: Pairs) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _pairs(text: str) -> Pairs:
    if not text:
        return ()
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=1000))
    except ValueError:
        return ()


def first_value(pairs: Pairs, name: str) -> str | None:
    """The first value of that name, or None."""
    return next((value for key, value in pairs if key == name), None)


def all_values(pairs: Pairs, name: str) -> tuple[str, ...]:
    """All values of that name."""
    return tuple(value for key, value in pairs if key == name)
