"""`oauthtap verify`: clean where nothing is left, and a secret planted anywhere is found there."""

from __future__ import annotations

import base64
import json
import time
from argparse import Namespace
from pathlib import Path

import pytest
from mitmproxy.io import tnetstring

from oauthtap import rules
from oauthtap.cli import main
from oauthtap.cli.errors import UsageError
from oauthtap.cli.verify import scan_files, verify
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.proxy import flow_file
from oauthtap.redaction.leak_scanner import LeakScanner
from oauthtap.redaction.redactor import Redactor
from oauthtap.render import FORMATS
from oauthtap.render.sarif import rule_page
from oauthtap.report.build import build
from oauthtap.session import SessionWriter
from tests.unit.handshake.test_classify import SIGN_IN

CANARY = "c4nary-XyZ-9f8e7d6c5b4a3210-zz"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"RS256","kid":"k"}', b'{"aud":"https://mcp.example.com/mcp"}', b"signature-bytes")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session folder as the tap leaves it, with flows and every report."""
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp")
    writer = SessionWriter(
        tmp_path / "session", {"upstream": "https://mcp.example.com/mcp"}, sweep=tap.redactor.redact_known,
        make_flows=flow_file.write,
    )  # fmt: skip
    for exchange in notation.parse(SIGN_IN):
        writer.add(tap.add(exchange).exchange.as_json())
    exchanges = [step.exchange for step in tap.steps]
    report = build(tap)
    writer.close({f"report.{name}": render(report, exchanges) for name, render in FORMATS.items()})
    return writer.folder


def flow(exchange: Exchange, header: tuple[str, str] | None = None, body: str = "") -> bytes:
    """One record of a flow file; `header` and `body` go in as they are."""
    state = flow_file.flow_from(exchange).get_state()
    if header:
        state["request"]["headers"] = ((header[0].encode(), header[1].encode()),)
    if body:
        state["response"]["content"] = body.encode()
    return tnetstring.dumps(state)


def leaks(folder: Path) -> dict[str, list[str]]:
    return {
        one.path.name: [f"{leak.place}: {leak.what}" for leak in one.leaks] for one in scan_files(folder) if one.leaks
    }


def test_a_session_of_ours_is_clean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder)]) == 0
    said = capsys.readouterr().out
    for name in ("session.jsonl", "flows.mitm", "session.har", *(f"report.{name}" for name in FORMATS)):
        assert name in said
    assert "by name" in said
    assert "No secrets in" in said


IN_EXCHANGES = {
    "request.header.authorization": lambda e: {"request": with_header(e.request, "Authorization", f"Bearer {CANARY}")},
    "request.header.cookie": lambda e: {"request": with_header(e.request, "Cookie", f"sid={CANARY}")},
    "request.header.x-api-key": lambda e: {"request": with_header(e.request, "X-Api-Key", CANARY)},
    "request.url": lambda e: {"request": changed(e.request, url=f"{e.request.url}?access_token={CANARY}")},
    "request.body": lambda e: {"request": changed(e.request, body=f"grant_type=x&code_verifier={CANARY}")},
    "response.header.set-cookie": lambda e: {"response": with_header(e.response, "Set-Cookie", f"s={CANARY}; Path=/")},
    "response.header.location": lambda e: {
        "response": with_header(e.response, "Location", f"http://localhost:1/?code={CANARY}")
    },
    "response.body": lambda e: {"response": changed(e.response, body=json.dumps({"refresh_token": CANARY}))},
    "shown.body": lambda e: {"delivered_response": changed(e.response, body=json.dumps({"client_secret": CANARY}))},
    "error": lambda e: {"error": f"GET https://as.example.com/?code={CANARY} failed"},
}


def with_header(message: object, name: str, value: str) -> object:
    return changed(message, headers=(*message.headers, (name, value)))  # type: ignore[attr-defined]


def changed(message: object, **members: object) -> object:
    return message.model_copy(update=members)  # type: ignore[attr-defined]


def planted(folder: Path, place: str) -> Exchange:
    exchange = next(e for e in notation.parse(SIGN_IN))
    struck = Redactor().redact(exchange)
    return Exchange(
        **{**{n: getattr(struck, n) for n in Exchange.model_fields}, **IN_EXCHANGES[place](struck), "id": 99}
    )


@pytest.mark.parametrize("place", IN_EXCHANGES)
def test_a_canary_in_the_session_log_is_found_in_its_place(folder: Path, place: str) -> None:
    path = folder / "session.jsonl"
    path.write_text(path.read_text() + planted(folder, place).model_dump_json(exclude_defaults=True) + "\n")
    assert any(found.startswith(f"exchange 99, {place}: ") for found in leaks(folder)["session.jsonl"])


@pytest.mark.parametrize("place", IN_EXCHANGES)
def test_a_canary_in_the_stored_exchange_of_a_flow_is_found(folder: Path, place: str) -> None:
    path = folder / "flows.mitm"
    state = flow(Exchange(request=next(notation.parse("GET https://x.example/\n200")).request, id=1))
    clean = next(iter(flow_file._states(state)))
    clean["metadata"] = {flow_file.EXCHANGE: planted(folder, place).model_dump_json(exclude_defaults=True)}
    path.write_bytes(path.read_bytes() + tnetstring.dumps(clean))
    assert any(found.startswith(f"exchange 99, {place}: ") for found in leaks(folder)["flows.mitm"])


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (("Authorization", f"Bearer {CANARY}"), ""),
        (("Cookie", f"sid={CANARY}"), ""),
        (("Accept", "*/*"), json.dumps({"access_token": CANARY})),
    ],
    ids=["authorization", "cookie", "body"],
)
def test_a_canary_in_a_flow_itself_is_found(folder: Path, header: tuple[str, str], body: str) -> None:
    path = folder / "flows.mitm"
    exchange = next(notation.parse("GET https://x.example/\n200"))
    path.write_bytes(path.read_bytes() + flow(exchange, header, body))
    assert leaks(folder)["flows.mitm"]


def har_with(folder: Path, change: str) -> None:
    path = folder / "session.har"
    document = json.loads(path.read_text())
    entry = document["log"]["entries"][0]
    if change == "query":
        entry["request"]["queryString"].append({"name": "code", "value": CANARY})
    elif change == "cookies":
        entry["request"]["cookies"].append({"name": "sid", "value": CANARY})
    elif change == "header":
        entry["request"]["headers"].append({"name": "Authorization", "value": f"Bearer {CANARY}"})
    elif change == "body":
        entry["response"]["content"] = {"mimeType": "application/json", "text": json.dumps({"access_token": CANARY})}
    elif change == "comment":
        entry["comment"] = f"Authorization: Bearer {CANARY}"
    path.write_text(json.dumps(document, indent=1))


@pytest.mark.parametrize("change", ["query", "cookies", "header", "body", "comment"])
def test_a_canary_in_the_har_is_found(folder: Path, change: str) -> None:
    har_with(folder, change)
    assert leaks(folder)["session.har"]


@pytest.mark.parametrize("name", [f"report.{name}" for name in FORMATS if name != "har"])
@pytest.mark.parametrize(
    "text",
    [
        f"curl -H 'Authorization: Bearer {CANARY}'",
        f"http://localhost:1/callback?state=x&code={CANARY}",
        json.dumps({"access_token": CANARY}),
        f"Cookie: session={CANARY}",
        f"the client sent {JWT} to the server",
    ],
    ids=["bearer", "code", "member", "cookie", "jwt"],
)
def test_a_canary_in_a_report_is_found(folder: Path, name: str, text: str) -> None:
    path = folder / name
    lines = path.read_text().count("\n") + 1
    path.write_text(path.read_text() + text + "\n")
    assert {found.partition(":")[0] for found in leaks(folder)[name]} == {f"line {lines}"}


ODD = "c4nary+XyZ/9f8e7d6c5b4a3210=="


@pytest.mark.parametrize(
    "spelled",
    [
        ODD,
        base64.b64encode(f"client:{ODD}".encode()).decode(),
        ODD.replace("+", "%2B").replace("/", "%2F"),
        ODD.replace("/", "\\/"),
        ODD.replace("+", "&#43;"),
    ],
    ids=["bare", "base64", "percent", "json", "html"],
)
def test_a_secret_of_one_file_is_looked_for_in_all(folder: Path, spelled: str) -> None:
    har = folder / "session.har"
    har.write_text(har.read_text().replace('"comment"', '"c"').replace('"cache": {}', f'"x": "Bearer {ODD}"', 1))
    (folder / "notes.txt").write_text(f"nothing here\nit was {spelled} I think\n")
    assert [found.partition(":")[0] for found in leaks(folder)["notes.txt"]] == ["line 2"]


def test_a_leak_gives_1_and_is_not_quoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    har_with(folder, "header")
    (folder / "report.md").write_text(f"Authorization: Bearer {CANARY}")
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert CANARY not in said
    assert "report.md: line 1" in said
    assert "session.har" in said


def test_a_file_alone_can_be_looked_at(folder: Path) -> None:
    assert verify(Namespace(session=str(folder / "session.har"))) == 0


@pytest.mark.parametrize(
    "text",
    [
        "Access-Control-Allow-Headers: authorization, content-type, mcp-protocol-version",
        '["access-control-allow-headers","authorization, mcp-protocol-version, content-type"]',
        "the Authorization header: `Bearer` and a token",
        '["Authorization","Bearer ‹token 1 {\\"alg\\":\\"RS256\\"}›"]',
        "grant_type=authorization_code&code=‹code+1›&code_verifier=‹verifier+1+length=43›",
        '{"error": "invalid_request", "code": "invalid_redirect_uri"}',
        "reverse:http://good.mcp.test:443@::1:45877",  # the mode of a listener, as mitmproxy writes it
        "reverse:http://good.mcp.test:443@127.0.0.1:45877;}11:server_conn",
    ],
)
def test_what_only_looks_like_a_secret_is_none(text: str) -> None:
    assert not list(LeakScanner().in_text(text))


@pytest.mark.parametrize(
    "text",
    [f'["Authorization","Bearer {CANARY}"]', f"authorization: {CANARY}", f'\\"Cookie\\": \\"sid={CANARY}\\"'],
)
def test_headers_are_known_in_any_spelling(text: str) -> None:
    assert list(LeakScanner().in_text(text))


def test_the_made_up_secrets_in_the_pages_of_our_rules_are_none() -> None:
    pages = [rule_page(rule) for rule in rules.load().values()]
    search = LeakScanner(examples="\n".join(rules.pages()))
    assert list(LeakScanner().in_text(json.dumps({"markdown": "\n".join(pages)}, ensure_ascii=False)))
    assert not [leak for page in pages for leak in search.in_text(json.dumps({"markdown": page}, ensure_ascii=False))]


def test_what_cannot_be_read_is_no_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "session.jsonl").write_text("no session\nat all\n")
    assert main(["verify", str(folder)]) == 2
    assert "cannot vouch" in capsys.readouterr().err
    with pytest.raises(UsageError):
        scan_files(folder / "nowhere")


def test_a_password_behind_the_word_reverse_is_found_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("reverse:http://ada:Kx93hZpQ@proxy.example.com:8080\n")
    assert leaks(tmp_path)


@pytest.mark.parametrize("body", ['form-data; name="a"\r\n' * 8_000, "<input " + "name=a " * 12_000, "‹" * 40_000])
def test_no_body_takes_the_square_of_its_length(body: str) -> None:
    exchange = Exchange(
        request=Request(method="GET", url="https://a.example/"), response=Response(status=200, body=body)
    )
    began = time.process_time()
    assert not list(LeakScanner().in_exchange(exchange))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("code", "found"), [("CNFE-9281", True), ("CNCC-BFDC", True), ("4072-1166", True), ("REQUIRED", False)]
)
def test_a_user_code_in_a_text_is_found_though_it_looks_like_a_word_and_a_number(
    code: str, found: bool, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<pre>{{&quot;user_code&quot;: &quot;{code}&quot;}}</pre>")
    assert any(one.leaks for one in scan_files(page)) is found
