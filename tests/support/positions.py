"""Positions of canaries that nobody listed: where somebody who wants a secret to stay would put it.

Each takes a name and a value and gives an exchange, as `NAMED` in `planted.py`. They were written down before they were
run; the number of that first run stands in docs/security.md.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote

from oauthtap.model.exchange import Exchange, Request, Response

URL = "https://mcp.example.com/mcp"
_FORM = "application/x-www-form-urlencoded"


def get(url: str = URL, *headers: tuple[str, str], response: Response | None = None) -> Exchange:
    return Exchange(request=Request(method="GET", url=url, headers=headers), response=response or Response(status=204))


def asked(kind: str, body: str) -> Exchange:
    headers = (("Content-Type", kind),)
    return Exchange(request=Request(method="POST", url=URL, headers=headers, body=body), response=Response(status=202))


def told(kind: str, body: str, *headers: tuple[str, str]) -> Exchange:
    return get(response=Response(status=200, headers=(("Content-Type", kind), *headers), body=body))


def answered(*headers: tuple[str, str], status: int = 200) -> Exchange:
    return get(response=Response(status=status, headers=headers))


def said(document: object) -> Exchange:
    return told("application/json", json.dumps(document))


def rpc(**members: object) -> Exchange:
    return said({"jsonrpc": "2.0", "id": 7, **members})


def tool(text: str) -> Exchange:
    return rpc(result={"content": [{"type": "text", "text": text}]})


def page(text: str) -> Exchange:
    return told("text/html", f"<!doctype html><html><body>{text}</body></html>")


def events(*lines: str) -> Exchange:
    return told("text/event-stream", "\n".join([*lines, "", ""]))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def b64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def jwt(claims: object) -> str:
    return f"{b64url(json.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{b64url(json.dumps(claims))}.c2lnbmF0dXJlLWJ5dGVz"


def env(name: str) -> str:
    return name.replace(".", "_").replace("-", "_").upper()


def word(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def part(body: str) -> Exchange:
    return asked("multipart/form-data; boundary=b", f"--b\r\n{body}\r\n--b--\r\n")


JSON_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "json: four strings deep": lambda n, v: said({"a": json.dumps({"b": json.dumps({"c": json.dumps({n: v})})})}),
    "json: list in a list": lambda n, v: said({n: [["x", [v]]]}),
    "json: object in an object": lambda n, v: said({n: {"current": {"material": [v]}}}),
    "json: the name of a member": lambda n, v: said({f"{n}s": {v: {"created": "2026-11-29"}}}),
    "json: pair with capitals": lambda n, v: said({"Settings": [{"Key": n, "Value": v}]}),
    "json: pair with a list": lambda n, v: said([{"name": n, "values": [v]}]),
    "json: pair with a text": lambda n, v: said({"fields": [{"label": n, "text": v}]}),
    "json: pair with something between": lambda n, v: said([{"name": n, "type": "static", "value": v}]),
    "json: arguments of a program": lambda n, v: said({"command": "npx", "args": ["-y", f"--{n}", v]}),
    "json: argument with =": lambda n, v: said({"args": ["serve", f"--{n}={v}"]}),
    "json: header lines as texts": lambda n, v: said({"headers": [f"{n}: {v}", "Accept: */*"]}),
    "json: header with a list": lambda n, v: said({"headers": {n: [v]}}),
    "json: mcp.json": lambda n, v: said({"mcpServers": {"a": {"command": "x", "env": {env(n): v}}}}),
    "json: pretty": lambda n, v: told("application/json", json.dumps({"a": {n: v}}, indent=4)),
    "json: broken off": lambda n, v: told("application/json", f'{{"a": 1, "{n}": "{v}'),
    "json: blanks and lines around the colon": lambda n, v: told("application/json", f'{{"{n}"\r\n\t :\r\n\t "{v}"}}'),
    "json: lines": lambda n, v: told("application/x-ndjson", f'{{"a": 1}}\n{json.dumps({n: v})}\n'),
    "json: five": lambda n, v: told("application/json5", f"{{ a: 1, {word(n)}: '{v}', }}"),
    "json: behind a guard": lambda n, v: told("application/json", f")]}}',\n{json.dumps({n: v})}"),
    "json: as a call": lambda n, v: told("application/javascript", f"callback({json.dumps({n: v})});"),
    "json: patch": lambda n, v: said([{"op": "add", "path": f"/config/{n}", "value": v}]),
    "json: GraphQL": lambda n, v: asked(
        "application/json", json.dumps({"query": f'mutation {{ set({word(n)}: "{v}") {{ ok }} }}'})
    ),
    "json: GraphQL variables": lambda n, v: asked(
        "application/json", json.dumps({"query": "mutation", "variables": {"input": {n: v}}})
    ),
    "json: name escaped": lambda n, v: told(
        "application/json", f'{{"a": "{{\\"{"".join(f"\\\\u{ord(c):04x}" for c in n)}\\": \\"{v}\\"}}"}}'
    ),
}

RPC_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "rpc: structured content": lambda n, v: rpc(result={"content": [], "structuredContent": {"settings": {n: v}}}),
    "rpc: blob of a resource": lambda n, v: rpc(
        result={"contents": [{"uri": "file:///x", "blob": b64(json.dumps({n: v}))}]}
    ),
    "rpc: text of a resource": lambda n, v: rpc(
        result={"contents": [{"uri": "file:///.env", "text": f"A=1\n{env(n)}='{v}'\n"}]}
    ),
    "rpc: data of an error": lambda n, v: rpc(error={"code": -32000, "message": "no", "data": {"request": {n: v}}}),
    "rpc: message of an error": lambda n, v: rpc(error={"code": -32000, "message": f"{n} {v!r} was refused"}),
    "rpc: log message": lambda n, v: events(
        "event: message",
        "data: "
        + json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": f"using {n}={v}"}}),
    ),
    "rpc: elicited": lambda n, v: asked(
        "application/json",
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {n: v}}}),
    ),
    "rpc: meta": lambda n, v: rpc(result={"_meta": {f"example.com/{n}": v}, "tools": []}),
    "rpc: batch": lambda n, v: said([{"jsonrpc": "2.0", "id": 1, "result": {}}, {"id": 2, "result": {n: v}}]),
    "rpc: argument that is a command": lambda n, v: asked(
        "application/json",
        json.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": {"arguments": {"cmd": f"run --{n} {v} -q"}}}),
    ),
    "rpc: argument that is a header": lambda n, v: asked(
        "application/json",
        json.dumps({"params": {"arguments": {"cmd": f"curl -sS -H '{n}: {v}' https://a.example"}}}),
    ),
}

STREAM_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "stream: value on a line of its own": lambda n, v: events(f'data: {{"{n}":', f'data: "{v}"}}'),
    "stream: pretty": lambda n, v: events(
        *(f"data: {line}" for line in json.dumps({"a": {n: v}}, indent=2).split("\n"))
    ),
    "stream: list over lines": lambda n, v: events(f'data: {{"{n}": [', f'data: "{v}"', "data: ]}"),
    "stream: comment": lambda n, v: events(f": {n}={v}", "data: {}"),
    "stream: name of an event": lambda n, v: events(f"event: {n}", f"data: {v}"),
    "stream: endpoint": lambda n, v: events("event: endpoint", f"data: /messages?{n}={quote(v)}"),
    "stream: without blanks": lambda n, v: events(f'data:{{"x":{{"{n}":"{v}"}}}}'),
}

XML_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "xml: attribute": lambda n, v: told("application/xml", f'<server host="a" {n}="{html.escape(v)}" port="1"/>'),
    "xml: attribute in single quotes": lambda n, v: told("text/xml", f"<x:db x:{n}='{html.escape(v)}'/>"),
    "xml: key and value elements": lambda n, v: told(
        "text/xml", f"<member><name>{n}</name><value><string>{html.escape(v)}</string></value></member>"
    ),
    "xml: property list": lambda n, v: told(
        "text/xml", f"<dict><key>{n}</key>\n<string>{html.escape(v)}</string></dict>"
    ),
    "xml: element in an element": lambda n, v: told("text/xml", f"<{n}><value>{html.escape(v)}</value></{n}>"),
    "xml: CDATA": lambda n, v: told("text/xml", f"<a><{n}><![CDATA[{v}]]></{n}></a>"),
    "xml: SOAP": lambda n, v: told("text/xml", f'<wsse:{n} Type="x#PasswordText">{html.escape(v)}</wsse:{n}>'),
    "xml: Maven": lambda n, v: told("text/xml", f"<server><id>a</id>\n  <{n}>{html.escape(v)}</{n}></server>"),
    "xml: escaped in JSON": lambda n, v: said({"xml": f"<a>&lt;{n}&gt;{html.escape(v)}&lt;/{n}&gt;</a>"}),
    "xml: attribute in JSON": lambda n, v: said({"xml": f'<connection {n}="{html.escape(v)}" />'}),
    "xml: web.config": lambda n, v: told("text/xml", f'<add name="Db" connectionString="Server=a;{n}={v};Uid=b" />'),
    "xml: comment": lambda n, v: told("text/xml", f"<a><!-- {n}: {v} --></a>"),
}

HTML_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "html: data attribute": lambda n, v: page(f'<div data-{n}="{html.escape(v)}" id="a"></div>'),
    "html: JSON in a data attribute": lambda n, v: page(f"<div data-config='{json.dumps({n: v})}'></div>"),
    "html: escaped JSON in a data attribute": lambda n, v: page(
        f'<div data-x="{html.escape(json.dumps({n: v}))}"></div>'
    ),
    "html: script": lambda n, v: page(f"<script>window.__{word(n)}__ = '{v}';</script>"),
    "html: const": lambda n, v: page(f"<script>const {word(n)} = `{v}`;</script>"),
    "html: JSON of a script": lambda n, v: page(f'<script type="application/json">{json.dumps({n: v})}</script>'),
    "html: storage": lambda n, v: page(f"<script>sessionStorage.setItem('{n}', '{v}')</script>"),
    "html: document.cookie": lambda n, v: page(f'<script>document.cookie = "{n}={v}; path=/";</script>'),
    "html: text area": lambda n, v: page(f'<textarea rows="1" name="{n}">{html.escape(v)}</textarea>'),
    "html: link": lambda n, v: page(f'<a href="/next?a=1&amp;{n}={quote(v)}">next</a>'),
    "html: comment": lambda n, v: page(f"<!-- {n} = {v} -->"),
    "html: table": lambda n, v: page(f"<table><tr><td>{n}</td><td>{html.escape(v)}</td></tr></table>"),
    "html: definition": lambda n, v: page(f"<dl><dt>{n}</dt><dd><code>{html.escape(v)}</code></dd></dl>"),
    "html: bold": lambda n, v: page(f"<p><b>{n}:</b> {html.escape(v)}</p>"),
    "html: label": lambda n, v: page(f'<label for="a">{n}</label><input id="a" readonly value="{html.escape(v)}">'),
    "html: refresh": lambda n, v: page(
        f'<meta http-equiv="refresh" content="0;url=https://c.example/?{n}={quote(v)}">'
    ),
    "html: attribute without quotes": lambda n, v: page(f"<input type=hidden name={n} value={html.escape(v)}>"),
    "html: field of a password": lambda n, v: page(f'<input type="password" name="f1" value="{html.escape(v)}">'),
}

HEADER_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "header: continued": lambda n, v: answered(("X-Config", f"mode=a;\r\n {n}={v}")),
    "header: parameter": lambda n, v: answered(("X-Debug", f"user=ada; {n}={v}; level=1")),
    "header: quoted parameter": lambda n, v: answered(
        ("WWW-Authenticate", f'Bearer realm="a", {n}="{v}", error="invalid_token"'), status=401
    ),
    "header: JSON": lambda n, v: answered(("X-Context", json.dumps({"a": 1, n: v}))),
    "header: base64 of JSON": lambda n, v: answered(("X-Context", b64(json.dumps({"a": 1, n: v})))),
    "header: Link": lambda n, v: answered(("Link", f'<https://a.example/p?page=2&{n}={quote(v)}>; rel="next"')),
    "header: Refresh": lambda n, v: answered(("Refresh", f"0; url=https://a.example/?{n}={quote(v)}")),
    "header: another header in it": lambda n, v: answered(("X-Echo", f"{n}: {v}, Accept: */*")),
    "header: filename": lambda n, v: answered(("Content-Disposition", f'attachment; filename="{n}={v}.txt"')),
    "header: Server-Timing": lambda n, v: answered(("Server-Timing", f'auth;dur=1;desc="{n}={v}"')),
    "header: WebSocket protocol": lambda n, v: get(URL, ("Sec-WebSocket-Protocol", f"{word(n)}, {quote(v, safe='')}")),
    "cookie: attribute": lambda n, v: answered(("Set-Cookie", f"theme=dark; Path=/; {n}={v}")),
    "cookie: path": lambda n, v: answered(("Set-Cookie", f"theme=dark; Path=/{n}/{quote(v, safe='')}; Secure")),
    "cookie: comment": lambda n, v: answered(("Set-Cookie", f'theme=dark; Comment="{n}={v}"; Secure')),
    "cookie: JSON": lambda n, v: get(URL, ("Cookie", f"prefs={quote(json.dumps({n: v}), safe='')}")),
    "cookie: quoted": lambda n, v: get(URL, ("Cookie", f'a=1; {n}="{v}"; b=2')),
    "cookie: base64": lambda n, v: get(URL, ("Cookie", f"p={b64url(json.dumps({n: v}))}")),
    "cookie: an innocent name": lambda n, v: get(URL, ("Cookie", f"lang=en; x{len(n)}={v}")),
}

URL_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "url: brackets": lambda n, v: get(f"{URL}?auth%5B{n}%5D={quote(v)}"),
    "url: list": lambda n, v: get(f"{URL}?{n}[]={quote(v)}"),
    "url: list of two": lambda n, v: get(f"{URL}?{n}%5B%5D=a&{n}%5B%5D={quote(v)}"),
    "url: semicolon": lambda n, v: get(f"{URL}?a=1;{n}={quote(v)};b=2"),
    "url: name and value in one": lambda n, v: get(f"{URL}?filter={quote(f'{n}:{v}')}"),
    "url: thrice encoded": lambda n, v: answered(
        ("Location", f"/login?to={quote(quote(quote(f'/cb?a=1&{n}={v}', safe=''), safe=''), safe='')}"), status=302
    ),
    "url: chain of three": lambda n, v: answered(
        (
            "Location",
            "https://a.example/?u="
            + quote("https://b.example/?u=" + quote(f"https://c.example/?{n}={quote(v)}", safe=""), safe=""),
        ),
        status=303,
    ),
    "url: fragment in a parameter": lambda n, v: answered(
        ("Location", f"https://a.example/?u={quote(f'/cb#x=1&{n}={v}', safe='')}"), status=302
    ),
    "url: fragment with a path": lambda n, v: answered(("Location", f"/app#/cb?{n}={quote(v)}"), status=302),
    "url: segment": lambda n, v: get(f"https://mcp.example.com/v1/{n}/{quote(v, safe='')}/x"),
    "url: matrix": lambda n, v: get(f"https://mcp.example.com/v1;{n}={quote(v, safe='')}/x"),
    "url: segment with =": lambda n, v: get(f"https://mcp.example.com/v1/{n}={quote(v, safe='')}/x"),
    "url: Referer": lambda n, v: get(URL, ("Referer", f"https://a.example/?{n}={quote(v)}#top")),
    "url: custom scheme": lambda n, v: answered(("Location", f"cursor://cb?{n}={quote(v)}&state=x"), status=302),
    "url: otpauth": lambda n, v: tool(f"otpauth://totp/a:ada?{n}={quote(v)}&issuer=a"),
    "form: brackets": lambda n, v: asked(_FORM, f"a=1&user%5B{n}%5D={quote(v)}"),
    "form: JSON": lambda n, v: asked(_FORM, f"data={quote(json.dumps({n: v}))}&b=2"),
    "form: base64 of a form": lambda n, v: asked(_FORM, f"data={quote(b64(f'a=1&{n}={quote(v)}'))}"),
    "form: as text": lambda n, v: asked("text/plain", f"a=1&{n}={quote(v)}"),
    "form: of no type": lambda n, v: asked("application/octet-stream", f"a=1&{n}={quote(v)}&b=2"),
}

PART_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "part: file": lambda n, v: part(
        f'Content-Disposition: form-data; name="{n}"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n{v}'
    ),
    "part: name without quotes": lambda n, v: part(f"Content-Disposition: form-data; name={n}\r\n\r\n{v}"),
    "part: name behind": lambda n, v: part(f'Content-Disposition: form-data; filename="a"; name="{n}"\r\n\r\n{v}'),
    "part: extended name": lambda n, v: part(f"Content-Disposition: form-data; name*=UTF-8''{quote(n)}\r\n\r\n{v}"),
    "part: file name": lambda n, v: part(
        f'Content-Disposition: form-data; name="f"; filename="{n}={v.replace("/", "_")}.txt"\r\n\r\nx'
    ),
    "part: JSON": lambda n, v: part(
        f'Content-Disposition: form-data; name="m"\r\nContent-Type: application/json\r\n\r\n{json.dumps({n: v})}'
    ),
    "part: header of it": lambda n, v: part(f'Content-Disposition: form-data; name="m"\r\n{n}: {v}\r\n\r\nx'),
}

TEXT_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "yaml: block": lambda n, v: told("application/yaml", f"a: 1\n{n}: |\n  {v}\nb: 2\n"),
    "yaml: folded": lambda n, v: tool(f"a: 1\n{n}: >-\n  {v}\nb: 2\n"),
    "yaml: list": lambda n, v: tool(f"{n}s:\n  - {v}\nb: 2\n"),
    "yaml: pair": lambda n, v: tool(f"env:\n  - name: {n}\n    value: {v}\n  - name: B\n"),
    "yaml: pair quoted": lambda n, v: tool(f"env:\n  - name: \"{n}\"\n    value: '{v}'\n"),
    "yaml: anchor": lambda n, v: tool(f"{n}: &a {v}\nb: *a\n"),
    "yaml: flow": lambda n, v: tool(f"auth: {{user: ada, {n}: {v}}}\n"),
    "yaml: tag": lambda n, v: tool(f"{n}: !secret {v}\n"),
    "yaml: Secret of Kubernetes": lambda n, v: tool(f"kind: Secret\ndata:\n  {n}: {b64(v)}\n"),
    "toml": lambda n, v: tool(f'[auth]\n"{n}" = "{v}"\n'),
    "ini": lambda n, v: tool(f"[auth]\n{n} = {v} ; mine\n"),
    "properties": lambda n, v: tool(f"spring.{n}={v}\n"),
    "netrc": lambda n, v: tool(f"machine a.example login ada password {v}\n"),
    "npmrc": lambda n, v: tool(f"//registry.example/:_authToken={v}\n"),
    "pgpass": lambda n, v: tool(f"PGPASSWORD='{v}' psql -h a"),
    "docker auth": lambda n, v: said({"auths": {"a.example": {"auth": b64(f"ada:{v}")}}}),
    "dockerfile": lambda n, v: tool(f"FROM x\nENV {env(n)} {v}\n"),
    "powershell": lambda n, v: tool(f'$env:{env(n)} = "{v}"'),
    "windows": lambda n, v: tool(f"C:\\> set {env(n)}={v}"),
    "option": lambda n, v: tool(f"$ serve --{n} {v} --port 80"),
    "option with =": lambda n, v: tool(f"$ serve --{n}={v} --port 80"),
    "option quoted": lambda n, v: tool(f'$ serve --{n} "{v}"'),
    "mysql": lambda n, v: tool(f"$ mysql --user=root --password={v} db"),
    "curl config": lambda n, v: tool(f'header = "{n}: {v}"'),
    "ado": lambda n, v: tool(f"Server=tcp:a;User Id=ada;{n}={v};Encrypt=true"),
    "odbc": lambda n, v: tool(f"Driver={{X}};Uid=ada;Pwd={v};"),
    "sql": lambda n, v: tool(f"CREATE USER ada WITH PASSWORD '{v}';"),
    "sql identified": lambda n, v: tool(f"CREATE USER ada IDENTIFIED BY '{v}';"),
    "node": lambda n, v: tool(f"{{ headers: {{ '{n}': '{v}', a: 1 }} }}"),
    "python": lambda n, v: tool(f"{{'a': 1, '{n}': '{v}'}}"),
    "python bytes": lambda n, v: tool(f"{{'{n}': b'{v}'}}"),
    "python call": lambda n, v: tool(f"Client({word(n)}='{v}', timeout=3)"),
    "ruby": lambda n, v: tool(f'{{:{word(n)}=>"{v}", :a=>1}}'),
    "go map": lambda n, v: tool(f"map[a:1 {n}:{v}]"),
    "go struct": lambda n, v: tool(f"{{Host:a {word(n)}:{v} Port:1}}"),
    "java": lambda n, v: tool(f"Config({word(n)}={v}, host=a)"),
    "rust": lambda n, v: tool(f'Config {{ {word(n)}: "{v}", host: "a" }}'),
    "rust some": lambda n, v: tool(f'Config {{ {word(n)}: Some("{v}") }}'),
    "php": lambda n, v: tool(f'array(1) {{\n  ["{n}"]=>\n  string(16) "{v}"\n}}'),
    "php print": lambda n, v: tool(f"Array\n(\n    [{n}] => {v}\n)"),
    "markdown table": lambda n, v: tool(f"| Setting | Value |\n|---|---|\n| {n} | `{v}` |"),
    "markdown bold": lambda n, v: tool(f"- **{n}**: {v}"),
    "markdown code": lambda n, v: tool(f"Set `{n}` to `{v}` first."),
    "csv": lambda n, v: told("text/csv", f"host,{n},port\na.example,{v},80\n"),
    "logfmt": lambda n, v: tool(f'level=info msg="up" {n}="{v}" port=80'),
    "raw request": lambda n, v: tool(f"> GET / HTTP/1.1\n> Host: a\n> {n}: {v}\n>\n< HTTP/1.1 200 OK"),
    "hcl": lambda n, v: tool(f'provider "a" {{\n  {word(n)} = "{v}"\n}}'),
    "vcap": lambda n, v: tool(f"{env(n)}: {json.dumps({'uri': 'x', 'value': v})}"),
}

SENTENCES: dict[str, Callable[[str, str], Exchange]] = {
    f"sentence: {text}": lambda n, v, text=text: tool(text.replace("NAME", n).replace("VALUE", v))  # type: ignore[misc]
    for text in (
        "Incorrect NAME provided: VALUE.",
        "The NAME VALUE has expired.",
        "The NAME 'VALUE' has been revoked",
        'invalid NAME "VALUE"',
        "no such NAME: VALUE",
        "NAME [VALUE] not found",
        "NAME (VALUE) was refused",
        "NAME <VALUE> is unknown",
        "your NAME is VALUE",
        "NAME was set to VALUE",
        "NAME -> VALUE",
        "NAME | VALUE",
        "NAME\tVALUE",
        "NAME=[VALUE]",
        "NAME equals VALUE",
        "[NAME:VALUE]",
    )
}
DESCRIPTIONS: dict[str, Callable[[str, str], Exchange]] = {
    "error_description: of a body": lambda n, v: told(
        "application/json", json.dumps({"error": "invalid_grant", "error_description": f"The {n} {v} is unknown"})
    ),
    "error_description: of a challenge": lambda n, v: answered(
        ("WWW-Authenticate", f'Bearer error="invalid_token", error_description="{n} {v} expired"'), status=401
    ),
    "error_description: of a redirect": lambda n, v: answered(
        ("Location", f"https://c.example/cb?error=access_denied&error_description={quote(f'bad {n}: {v}')}"), status=302
    ),
    "error: of a connection": lambda n, v: Exchange(
        request=Request(method="GET", url=URL), error=f"HTTPSConnectionPool: Max retries, url: /x?{n}={quote(v)}"
    ),
}

HIDDEN_POSITIONS: dict[str, Callable[[str, str], Exchange]] = {
    "hidden: base64url in base64url": lambda n, v: get(
        f"{URL}?c={b64url(json.dumps({'c': b64url(json.dumps({n: v}))}))}"
    ),
    "hidden: base64 of base64": lambda n, v: tool(b64(b64(json.dumps({n: v})))),
    "hidden: base64 in lines": lambda n, v: tool(
        "\n".join(b64(json.dumps({"pad": "x" * 60, n: v}))[at : at + 64] for at in range(0, 400, 64)).strip()
    ),
    "hidden: data URI": lambda n, v: page(f'<img src="data:application/json;base64,{b64(json.dumps({n: v}))}">'),
    "hidden: state": lambda n, v: get(f"https://as.example/authorize?state={b64url(json.dumps({'n': 1, n: v}))}"),
    "hidden: cursor": lambda n, v: rpc(result={"nextCursor": b64(json.dumps({"offset": 5, n: v})), "tools": []}),
    "hidden: JWT in a fragment": lambda n, v: answered(
        ("Location", f"/cb#id_token={jwt({'sub': 'a', n: v})}"), status=302
    ),
    "hidden: JWT in a claim of a JWT": lambda n, v: said({"x": jwt({"inner": jwt({n: v})})}),
    "hidden: client_id that is a JWT": lambda n, v: get(f"https://as.example/authorize?client_id={jwt({n: v})}"),
    "hidden: software statement": lambda n, v: asked(
        "application/json", json.dumps({"redirect_uris": [], "software_statement": jwt({"cfg": {n: v}})})
    ),
    "hidden: SAML": lambda n, v: asked(_FORM, f"RelayState={quote(b64(f'<a><{n}>{html.escape(v)}</{n}></a>'))}"),
    "hidden: escaped thrice": lambda n, v: get(f"{URL}?q={quote(quote(quote(json.dumps({n: v}))))}"),
    "hidden: entities twice": lambda n, v: page(html.escape(html.escape(json.dumps({n: v})))),
    "hidden: unicode in a string in a string": lambda n, v: said(
        {"a": json.dumps({"b": "".join(f"\\u{ord(c):04x}" for c in json.dumps({n: v}))})}
    ),
}

POSITIONS = (
    JSON_POSITIONS | RPC_POSITIONS | STREAM_POSITIONS | XML_POSITIONS | HTML_POSITIONS | HEADER_POSITIONS
    | URL_POSITIONS | PART_POSITIONS | TEXT_POSITIONS | SENTENCES | DESCRIPTIONS | HIDDEN_POSITIONS
)  # fmt: skip

FRESH_NAMES = (
    "vault_token", "stripeSecretKey", "ADMIN_PASSWORD", "openai_api_key", "master-key", "refresh_token",
    "idpSessionCookie", "service.credential", "smtp-passphrase", "X-Plex-Token", "client_secret", "hmacSecret",
)  # fmt: skip
"""Other names than `planted.NAMES`."""

PAD = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA"
FRESH_SHAPES: dict[str, Callable[[str], str]] = {
    "gitlab runner": lambda m: f"glrt-{m}{PAD[:4]}",
    "digitalocean": lambda m: f"dop_v1_{''.join(c for c in m if c in '0123456789abcdef').ljust(12, 'a')}{m}",
    "vault": lambda m: f"hvs.{m}{PAD}{PAD[:20]}",
    "linear": lambda m: f"lin_api_{m}{PAD[:24]}",
    "shopify": lambda m: f"shpat_{m}{PAD[:16]}",
    "postman": lambda m: f"PMAK-{m}aabbccdd-{m}0123456789abcdef012345",
    "key of OpenSSH": lambda m: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PAD}{m}\n-----END OPENSSH PRIVATE KEY-----",
    "key with \\n": lambda m: f"-----BEGIN PRIVATE KEY-----\\n{PAD}{m}{PAD}\\n-----END PRIVATE KEY-----\\n",
    "token of a git remote": lambda m: f"https://{m}{PAD[:12]}@git.example.com/x.git",
    "oauth2 of a git remote": lambda m: f"https://oauth2:{m}@git.example.com/x.git",
    "encoded password of a URL": lambda m: f"https://ada:p%40ss{m}@a.example/x",
    "encoded URL": lambda m: f"u=https%3A%2F%2Fada%3A{m}%40a.example%2Fx",
    "password with odd signs": lambda m: f"postgres://ada:x!{m}$9@db.example/app?sslmode=require",
    "URL without a scheme": lambda m: f"remote //ada:{m}@a.example/x",
    "mongodb": lambda m: f"mongodb+srv://ada:{m}@c0.example.net/?retryWrites=true",
    "amqp": lambda m: f"amqps://ada:{m}@mq.example/vhost",
    "oracle": lambda m: f"jdbc:oracle:thin:ada/{m}@db.example:1521/x",
    "jdbc": lambda m: f"jdbc:postgresql://db.example/app?user=ada&password={m}",
    "go dsn": lambda m: f"ada:{m}@tcp(db.example:3306)/app",
    "keyword dsn": lambda m: f"host=db.example user=ada password={m} dbname=app",
    "shared access signature": lambda m: f"https://a.example/c?sv=2024-01-01&se=2026&sr=b&sig={m}%2Fx%3D",
    "presigned": lambda m: f"https://a.example/o?X-Amz-Credential=x&X-Amz-Signature={m}{m}",
    "AWS4": lambda m: f"AWS4-HMAC-SHA256 Credential=AK/2026/x, SignedHeaders=host, Signature={m}",
    "Digest": lambda m: f'Digest username="ada", realm="a", nonce="n", uri="/", response="{m}"',
    "Bearer in a list": lambda m: f'["Authorization", "Bearer {m}"]',
    "Bearer after a colon": lambda m: f"Authorization:Bearer {m}",
    "Bearer over two lines": lambda m: f"Authorization: Bearer\n  {m}",
    "token scheme": lambda m: f"authorization: token {m}",
    "Basic in Node": lambda m: f"{{ authorization: 'Basic {b64(f'ada:{m}')}' }}",
    "Basic of Python": lambda m: f"auth=('ada', '{m}')",
    "JWE": lambda m: f"{b64url(json.dumps({'alg': 'dir', 'enc': 'A256GCM'}))}..{PAD}.{m}.{PAD[:20]}",
    "JWK": lambda m: json.dumps({"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": f"{m}{PAD}"}),
    "JWK, private part first": lambda m: json.dumps({"d": f"{m}{PAD}", "kty": "OKP", "crv": "Ed25519", "x": "a"}),
    "JWK, of octets": lambda m: json.dumps({"kty": "oct", "k": f"{m}{PAD}", "alg": "HS256"}),
    "webhook of Discord": lambda m: f"https://discord.com/api/webhooks/123456789012345678/{m}{PAD}{PAD[:20]}",
    "reset link": lambda m: f"https://a.example/reset-password/{m}{PAD[:10]}",
    "invitation": lambda m: f"https://a.example/invite?c={m}{PAD[:10]}&token={m}",
}  # fmt: skip
_ONE_LINE: Callable[[str], str] = lambda v: v.replace("\n", " ")  # noqa: E731
FRESH_PLACES: dict[str, Callable[[str], Exchange]] = {
    "tool result": tool,
    "argument in a list": lambda v: asked("application/json", json.dumps({"params": {"arguments": {"a": ["x", v]}}})),
    "name of a member": lambda v: said({"seen": {v: True}}),
    "message of an error": lambda v: rpc(error={"code": 1, "message": f"could not use {v}"}),
    "comment of a stream": lambda v: events(f": {_ONE_LINE(v)}", "data: {}"),
    "attribute of HTML": lambda v: page(f'<div title="{html.escape(v)}">x</div>'),
    "User-Agent": lambda v: get(URL, ("User-Agent", f"agent/1 ({_ONE_LINE(v)})")),
    "Link": lambda v: answered(("X-Info", f"<{_ONE_LINE(v)}>; rel=x")),
    "client_name": lambda v: asked("application/json", json.dumps({"client_name": v, "redirect_uris": []})),
    "parameter of redirect_uri": lambda v: get(
        "https://as.example/authorize?redirect_uri=" + quote(f"http://localhost:1/cb?x={quote(v, safe='')}", safe="")
    ),
    "file name": lambda v: part(
        f'Content-Disposition: form-data; name="f"; filename="{_ONE_LINE(v).replace(chr(34), "%22")}.txt"\r\n\r\nx'
    ),
    "realm": lambda v: answered(("WWW-Authenticate", f"Bearer realm='{_ONE_LINE(v)}'"), status=401),
    "fragment": lambda v: answered(("Location", f"/app#{quote(v, safe='')}"), status=302),
    "XML": lambda v: told("text/xml", f"<a><note>{html.escape(v)}</note></a>"),
    "base64": lambda v: tool(b64(f"note: {v}")),
    "CSV": lambda v: told("text/csv", f"a,b\n1,{_ONE_LINE(v)}\n"),
}  # fmt: skip
