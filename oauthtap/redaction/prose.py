"""Secrets named in a sentence, a table, a list of options, another member: a name, and near it the value.

Between the two stands no `=` or `:` that would say that they belong together, so the value has to look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.redaction import secret_names, secret_values

_HINT = (
    r"(?i:token|secret|passwd|password|passphrase|passcode|pwd|key|cookie|credential|jwt|otp|session|assertion|signature"
    r"|code|pass|identified by|csrf|hmac)"
)
_NAME = re.compile(rf"{_HINT}[A-Za-z_]{{0,12}}+(?:[-_]?\d{{1,3}}(?![\w+/=]))?")
_NAME_BEGINS = re.compile(r"[\w.$@-]{0,60}\Z")
_VALUE = re.compile(
    r"(?:(?<=:-)|(?<![^\s\"'`<>()\[\]{}|,;\\‹›：；=:+!@$*]))[A-Za-z0-9][^\s\"'`<>()\[\]{}|,;\\‹›；：&]{9,800}+"
)
_REST = re.compile(r"[^\s\"'`<>()\[\]{}|,;\\‹›；：&]{0,4000}")
_WORDS = (
    "is|was|were|be|set|to|has|provided|given|supplied|received|sent|used|value|values|equals|string|some|with|the|your|"
    "new|old|current|data|literal|default|got|rejected|refused|mismatch|expected|found|actual|but|wrong|invalid|unknown|"
    "b|u|r|h|content|n|t|quot|apos|lt|gt|amp|nbsp|u0027|u0022|td|tr|th|dd|dt|p|br|b|em|strong|code|pre|li|span"
)
_BELONGS = re.compile(rf"(?:\b(?:{_WORDS})\b|[^A-Za-z])*", re.IGNORECASE)
"""What may stand between a name and a value that needs to look less like a secret."""
_AWAY, _BETWEEN = 160, 8
"""Within how many characters and words behind the name a value stands."""
_BEFORE = re.compile(
    r"(?<![\w.+/=&-])(?P<value>[A-Za-z0-9][^\s\"'`<>()\[\]{}|,;\\‹›：；]{11,160})"
    r"(?P<gap>[\s\"'`*,.\\]{0,4}(?:[(=:—–-]|!==?|\b(?:is|as|for|in|was|not|are)\b)"
    r"(?:[\s\"'`*:=—–\\-]|\b(?:is|was|are|my|your|our|the|this|that|a|an|as|for|in|not|valid|invalid|unknown|bad|wrong|given|"
    r"used|passed|sent|set|to|be|expired|new|old|right|correct)\b){0,12})\Z",
    re.IGNORECASE,
)
"""A value, and how the name follows: `… is my token`, `… (token)`, `… = token`, `… as the token`."""
_LEADS_ON = re.compile(
    r"(?:[(=:—–-]|\b(?:is|was|are|my|your|our|the|this|that|a|an|as|for|in|not|valid|invalid|unknown|bad|wrong|expired|new|"
    r"old|right|correct))[\s\"'`\\*]{0,6}\Z",
    re.IGNORECASE,
)
"""How a name has to be led on to for a value to stand before it: found in a tenth of the time."""
_GOES_ON = re.compile(
    r"[\w-]|\s+(?!(?:header|parameter|param|field|value|variable|and|but|it|here|please|at|I|we|they|he|she|you)\b)[A-Za-z]"
)
_BELONGS_ELSEWHERE = re.compile(
    r"(?<!from )(?<!for )(?<!of )(?<!in )(?<![\w.$@-])([\w.$@-]{1,60})\\*[\"']?[ \t]{0,3}[:=][ \t]{0,3}\\*[\"'`]?\Z"
)
"""The name that a value has itself."""
_SAYS_NOTHING = {
    *("value", "values", "val", "v", "text", "string", "data", "content", "contents", "default", "current", "example"),
    *("new", "old", "raw", "input", "received", "got", "was", "expected", "actual", "provided", "material", "plain"),
    *(
        "",
        "initial",
        "const",
        "body",
        "invalid",
        "rejected",
        "title",
        "description",
        "x",
        "s",
        "answer",
        "result",
        "one",
        "to",
        "after",
        "now",
    ),
}
"""Names of members that say nothing of what they hold."""
_ABOUT = re.compile(r"[\s_-]+(?:ids?|identifier|endpoints?|ur[il]s?|types?|hash|fingerprint|digest)\b", re.I)
_WHICH_KEY = re.compile(
    r"\b(?:api|access|secret|private|signing|licen[cs]e|encryption|master|deploy|service|account|storage|subscription)"
    r"[ -]\Z",
    re.IGNORECASE,
)
_WEAK_KINDS = {"session", "cookie", "code", "signature", "authorization", "user-code", "request"}
_WEAK_NAMES = {"key", "keys", "auth", "pass", "passkey", "passkeys"}
"""What many things have that are no secrets: the value has to stand right behind it."""
_REVERSED = re.compile(
    r"\bvalue:[ \t]*[\"']?(?P<value>[^\s\"'\\‹›]{8,4000}+)[\"']?(?:\s|\\n){1,40}+"
    r"(?:name|key):[ \t]*[\"']?(?P<name>[\w.-]{1,80})"
)
"""In YAML, where the value stands first."""
_FOREIGN = re.compile(
    r"(?:passwort|kennwort|mot de passe|contraseña|clave secreta|senha|hasło|wachtwoord|lösenord|adgangskode|salasana|"
    r"heslo|jelszó|şifre|пароль|密码|密碼|口令|パスワード|비밀번호|암호)[\"'`]?\s{0,2}[:=：]\s{0,2}[\"'`]?"
    r"(?P<value>[^\s\"'`<>,;\\‹›]{6,200})",
    re.IGNORECASE,
)
"""A password, as other languages call it."""
_IN_ASCII = (
    "passwort",
    "kennwort",
    "mot de passe",
    "clave secreta",
    "senha",
    "wachtwoord",
    "adgangskode",
    "salasana",
    "heslo",
)
"""Those of its words that stand in a text of ASCII alone."""
_CODE_OF = re.compile(
    r"(?:authori[sz]ation|auth|oauth|device|user|access|verification|recovery|backup|one-time|invite|security)[ _-]?\Z",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # names a tenant, a session, a request
    r"|\d{4}-\d\d-\d\d.*|[\d.:/TZ+-]+|[\w.+-]+@[\w.-]+|[a-z][a-z0-9+.-]*://.*|[A-Za-z]+-?\d{1,4}"
    r"|(?:RS|ES|PS|HS|SHA-?)\d{3}\b.*|v?\d+(?:\.\d+)+.*|[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|dev|ai|test|example|local)\b.*",
    re.IGNORECASE,
)
Found = tuple[int, int, str, str]
"""Start and end of a value, its name, and the kind of its alias."""


def named(text: str) -> Iterator[Found]:
    """Every value that has a name near it; in no order."""
    for other in _REVERSED.finditer(text):
        if (kind := secret_names.kind_of(other["name"])) is not None and is_disordered(other["value"]):
            yield other.start("value"), other.end("value"), other["name"], kind
    done = 0
    for match in _NAME.finditer(text):
        if match.start() < done:
            continue
        begins = match.start() - len(_name_begins(text, match.start()))
        name = text[begins : match.end()].strip(".-")
        if (kind := _kind(name, text, begins)) is None:
            continue
        strong = kind not in _WEAK_KINDS and (
            name.lower() not in _WEAK_NAMES or bool(_WHICH_KEY.search(text[:begins][-20:]))
        )
        if (found := _behind(text, match.end(), strong)) is not None:
            done = found[1]
            yield *found, name, kind
        elif strong and (found := _before(text, begins, match.end())) is not None:
            yield *found, name, kind


def foreign(text: str) -> Iterator[Found]:
    """Every password that another language than English names; in order."""
    if text.isascii():
        lower = text.lower()
        if not any(word in lower for word in _IN_ASCII):
            return
    for match in _FOREIGN.finditer(text):
        if secret_values.is_telling(match["value"]):
            yield match.start("value"), match.end("value"), "password", "password"


def _name_begins(text: str, at: int) -> str:
    match = _NAME_BEGINS.search(text, max(0, at - 60), at)
    return match[0] if match else ""


def _kind(name: str, text: str, begins: int) -> str | None:
    if name.lower() == "identified by":
        return "password"
    kind = secret_names.kind_of(name)
    if kind == "code" and name.lower() in ("code", "codes") and not _CODE_OF.search(text, max(0, begins - 16), begins):
        return None
    return kind


def _behind(text: str, at: int, strong: bool) -> tuple[int, int] | None:
    """The first value behind a name, if it may be meant."""
    if text.startswith(("-----", "%"), at) or _ABOUT.match(text, at):  # a key in PEM; a part of something longer
        return None
    for match in _VALUE.finditer(text, at, min(len(text), at + _AWAY)):
        if match.start() == at:  # the name was a part of something longer
            return None
        start, value = match.start(), match[0].rstrip(".:!?*")
        between = text[at:start]
        if "‹" in between or len(re.findall(r"[A-Za-z]{2,}", between)) > _BETWEEN:
            return None
        if (own := re.match(r"([A-Za-z_][\w.-]{0,40})[:=]-?(?=[A-Za-z0-9])", value)) is not None:
            if not _says_nothing(own[1]):
                continue
            start, value = start + own.end(), value[own.end() :]
        elif (other := _BELONGS_ELSEWHERE.search(between)) is not None and not _says_nothing(other[1]):
            continue
        if match.end() == at + _AWAY and (whole := _REST.match(text, match.end())):
            value = text[start : whole.end()].rstrip(".:!?*")
        if is_disordered(value, loose=_BELONGS.fullmatch(between) is not None) and (
            strong or _BELONGS.fullmatch(between)
        ):
            return start, start + len(value)
    return None


def _before(text: str, begins: int, ends: int) -> tuple[int, int] | None:
    """The value of which is said that it is what the name means."""
    if not _LEADS_ON.search(text, max(0, begins - 16), begins):
        return None
    match = _BEFORE.search(text, max(0, begins - 240), begins)
    if match is None or _GOES_ON.match(text, ends) or not is_disordered(match["value"]):
        return None
    if "(" in match["gap"] and text[ends : ends + 1] != ")":
        return None
    other = _BELONGS_ELSEWHERE.search(text, max(0, match.start() - 70), match.start())
    value = match["value"].rstrip(".:!?*")
    return None if other and not _says_nothing(other[1]) else (match.start(), match.start() + len(value))


def _says_nothing(name: str) -> bool:
    """A value behind this name may be that of another one."""
    last = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)[-1:] or [""]
    return last[0].lower() in _SAYS_NOTHING or secret_names.kind_of(name) is not None


def is_disordered(value: str, *, loose: bool = False) -> bool:
    """Letters and digits in no order: no word, number, date, UUID, address or name of an algorithm."""
    if len(value) < 10 or _NO_SECRET.fullmatch(value):
        return False
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", value))
    digits = len(re.findall(r"\d", value))
    return digits >= 2 and turns >= (1 if loose and len(value) >= 14 else 2)


def in_columns(text: str) -> Iterator[Found]:
    """The same for tables, whose first line has the names: separated by commas, tabs, bars or wide blanks."""
    kinds: list[tuple[str, str | None]] = []
    sign, at = "", 0
    for line in text.split("\n"):
        cells = _cells(line, sign) if kinds else []
        if len(cells) == len(kinds) and kinds:
            for (name, kind), (start, value) in zip(kinds, cells, strict=True):
                if kind is not None and secret_values.is_telling(value) and "‹" not in value:
                    yield at + start, at + start + len(value), name, kind
        elif not re.fullmatch(r"[\s|+:=-]*", line):
            kinds, sign = [], _sign(line)
            if sign and all(re.fullmatch(r"[\w .-]{0,60}", name) for _, name in _cells(line, sign)):
                kinds = [(name, secret_names.kind_of(name)) for _, name in _cells(line, sign)]
                kinds = kinds if any(kind for _, kind in kinds) else []
        at += len(line) + 1


def _sign(line: str) -> str:
    """What separates the cells of a line; empty where nothing does."""
    found = max((",", ";", "\t", "|"), key=line.count)
    if found in line:
        return found
    return "  " if re.search(r"\S {2,}\S", line) else ""


def _cells(line: str, sign: str) -> list[tuple[int, str]]:
    """Where each cell begins, and what it says."""
    pattern = {"  ": r"\S+(?: \S+)*", ",": r"\"[^\"]*\"|[^,]+|(?<=,)(?=,)"}.get(sign, rf"[^{re.escape(sign)}]+")
    found = []
    for match in re.finditer(pattern, line):
        value = match[0].strip("\" '`\r")
        if value or sign == ",":
            found.append((match.start() + (match[0].index(value) if value else 0), value))
    return found
