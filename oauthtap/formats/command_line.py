"""The request that a command line sends: curl, wget, HTTPie, and `fetch` as browsers copy it."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from urllib.parse import urlencode

from oauthtap.formats.builder import Draft

METHOD = r"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)"
_TAKES_VALUE = frozenset((
    "-X", "--request", "-H", "--header", "-d", "--data", "--data-raw", "--data-binary", "--data-ascii",
    "--data-urlencode", "--json", "-u", "--user", "-A", "--user-agent", "-e", "--referer", "-b", "--cookie",
    "-o", "--output", "-w", "--write-out", "-m", "--max-time", "--connect-timeout", "-D", "--dump-header",
    "--resolve", "--cacert", "-E", "--cert", "--key", "-x", "--proxy", "--retry", "-T", "--upload-file", "-F",
    "--form", "-c", "--cookie-jar", "--oauth2-bearer", "--url", "--post-data", "--method", "--body-data",
    "--trace-ascii", "--trace", "-r", "--range", "--http-user", "--max-redirs", "--output-document", "-O_",
    "--tries", "--timeout", "--connect-to", "--interface", "--ciphers", "--tls-max",
))  # fmt: skip
"""Options of curl and wget that take a value."""
_WRITTEN = re.compile(r"%\{(\w+)\}|\\[nrt]|[^%\\]+|.", re.S)
_WRITES = re.compile(r"-[a-zA-Z]*w|--write-out")
_DATA = frozenset(
    ["-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json", "--post-data", "--body-data"]
)


def request_of_command(command: str) -> tuple[Draft, bool] | None:
    """The request a command sends, and whether it prints the body of the answer alone; None when it is none."""
    command = re.split(r"\s+(?:\|\s*(?:jq|head|grep|python3?|less|cat|tee|sed|awk)\b|2?>|;|&&)", command)[0]
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    if words and words[0] == "sudo":
        words = words[1:]
    name = words[0].removesuffix(".exe") if words else ""
    if name in ("curl", "wget"):
        return _of_curl(words[1:])
    return _of_httpie(words[1:], name)


def _of_curl(words: list[str]) -> tuple[Draft, bool] | None:
    draft, url, data = Draft("", "", actor="reporter"), None, []
    options, form = "", False
    place = 0
    while place < len(words):
        word, place = words[place], place + 1
        value = ""
        if word.startswith("--") and "=" in word:
            word, _, value = word.partition("=")
        elif word in _TAKES_VALUE and place < len(words):
            value, place = words[place], place + 1
        elif re.fullmatch(rf"-[sSkvi]*X{METHOD}", word):
            word, value = "-X", word.partition("X")[2]
        elif re.match(r"^-[a-zA-Z]{2,}$", word) and not word.startswith("--"):
            options += word[1:-1]
            word = f"-{word[-1]}"
            if word in _TAKES_VALUE and place < len(words):
                value, place = words[place], place + 1
        elif re.match(r"^-[XHduAe]\S", word):
            word, value = word[:2], word[2:]
        if word in ("-X", "--request", "--method"):
            draft.method = value.upper()
        elif word in ("-H", "--header"):
            header, _, content = value.partition(":")
            draft.headers.append((header.strip(), content.strip()))
        elif word in _DATA:
            data.append(value)
            form = form or word not in ("--json",)
            if word == "--json":
                draft.headers += [("Content-Type", "application/json"), ("Accept", "application/json")]
        elif word == "--data-urlencode":
            key, _, content = value.partition("=")
            data.append(urlencode({key: content}))
            form = True
        elif word in ("-A", "--user-agent"):
            draft.headers.append(("User-Agent", value))
        elif word == "--oauth2-bearer":
            draft.headers.append(("Authorization", f"Bearer {value}"))
        elif word in ("-u", "--user"):
            draft.headers.append(("Authorization", "Basic ‹secret 1›"))
        elif word == "--url" or (
            not word.startswith("-") and url is None and re.match(r"^(?:https?://|[\w.$\{\}<>-]+(?:[.:/]|$))", word)
        ):
            url = value or word
        elif word in ("-I", "--head"):
            draft.method = draft.method or "HEAD"
        elif word in ("-i", "--include", "-s", "-v", "--verbose", "-S", "--silent", "-k", "-L"):
            options += word[-1] if len(word) == 2 else {"--include": "i", "--verbose": "v"}.get(word, "")
    if url is None:
        return None
    draft.target = (
        url if re.match(r"^https?://", url) else f"http{'' if re.match(r'localhost|127', url) else 's'}://{url}"
    )
    draft.method = draft.method or ("HEAD" if "I" in options else "POST" if data else "GET")
    draft.body = "&".join(data) if data else ""
    if data and form and not any(key.lower() == "content-type" for key, _ in draft.headers):
        draft.headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    draft.headers_shown = True
    return draft, not set(options) & {"i", "v", "I", "D"}


def _of_httpie(words: list[str], name: str) -> tuple[Draft, bool] | None:
    words = [word for word in words if not word.startswith("-")]
    method = words.pop(0) if words and re.fullmatch(METHOD, words[0]) else ""
    if not words or not re.match(r"^(?:https?://|:\d|:/|[\w-]+[.:/])\S*$", words[0]):
        return None
    url = words.pop(0)
    if url.startswith(":"):
        url = f"localhost{url}"
    if not re.match(r"^https?://", url):
        url = f"{'https' if name in ('https', 'xhs') else 'http'}://{url}"
    draft, members = Draft(method, url, actor="reporter", headers_shown=True), {}
    for word in words:
        if match := re.match(r"^([\w-]+):(?!=)(.*)$", word):
            draft.headers.append((match[1], match[2]))
        elif match := re.match(r"^([\w.-]+):?=(.*)$", word):
            members[match[1]] = match[2]
    draft.method = method or ("POST" if members else "GET")
    draft.body = json.dumps(members) if members else ""
    return draft, False


def write_out(command: str) -> re.Pattern[str] | None:
    """The line that curl's `--write-out` prints, its status as the first group; None where it prints no status."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    given = next((value for option, value in pairwise(words) if _WRITES.fullmatch(option)), "")
    bare = re.sub(r"^(?:\\[nrt]|\s)+|(?:\\[nrt]|\s)+$", "", given)
    shown, found = "", False
    for part in _WRITTEN.finditer(bare):
        if part[1] in ("http_code", "response_code") and not found:
            shown, found = rf"{shown}([1-5]\d\d)", True
        elif part[1]:
            shown += r"\S*(?:; ?\S*)?"
        else:
            shown += r"\s+" if part[0].isspace() or part[0][0] == "\\" else re.escape(part[0])
    return re.compile(rf"^{shown}(?:\s+(?:#|//|<-).*)?$") if found else None


def request_of_fetch(match: re.Match[str], text: str) -> Draft:
    """`fetch(URL, OPTIONS)` as browsers copy it: the options are JSON there."""
    draft = Draft("GET", match[2], actor="client")
    start, end = text.find("{", match.end() - 1), text.rfind("}")
    if start > 0 and end > start:
        try:
            options = json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            options = {}
        draft.method = str(options.get("method") or "GET")
        headers = options.get("headers")
        draft.headers = [(str(k), str(v)) for k, v in headers.items()] if isinstance(headers, dict) else []
        draft.body = options["body"] if isinstance(options.get("body"), str) else ""
    return draft
