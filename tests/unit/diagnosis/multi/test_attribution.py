"""Several clients at once: whose an exchange is, and that each is judged by itself."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Actor, Exchange, Request, Response
from oauthtap.render import FORMATS
from oauthtap.report.build import build
from oauthtap.report.model import Report

SERVER = "https://mcp.example.com"
MCP = f"{SERVER}/mcp"
PRM = f"{SERVER}/.well-known/oauth-protected-resource/mcp"
ASM = f"{SERVER}/.well-known/oauth-authorization-server"
METADATA = {
    "issuer": SERVER,
    "authorization_endpoint": f"{SERVER}/authorize",
    "token_endpoint": f"{SERVER}/token",
    "registration_endpoint": f"{SERVER}/register",
    "response_types_supported": ["code"],
    "code_challenge_methods_supported": ["S256"],
}


@dataclass
class Client:
    """A client that walks through a whole sign-in, a request at a time."""

    name: str
    port: int
    agent: str = "node"
    mcp_agent: str = ""
    keeps: bool = True
    """It uses one connection for everything; else a new one each time."""
    secret: str = ""
    """The token it is given."""
    _count: Iterator[int] = field(default_factory=itertools.count)

    def ask(
        self, method: str, url: str, body: Any = None, *, status: int = 200, answer: Any = None,
        actor: Actor = "client", answered: dict[str, str] | None = None, **headers: str,
    ) -> Exchange:  # fmt: skip
        agent = (self.mcp_agent or self.agent) if url == MCP else self.agent
        form = isinstance(body, str)
        sent = {"User-Agent": "Mozilla/5.0" if actor == "browser" else agent, **headers}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        own = f"{self.name}-{0 if self.keeps else next(self._count)}"
        return Exchange(
            request=Request(
                method=method,
                url=url,
                headers=tuple((name.replace("_", "-"), value) for name, value in sent.items()),
                body=body if form else json.dumps(body) if body else "",
            ),
            response=Response(
                status=status,
                headers=tuple({"Content-Type": "application/json", **(answered or {})}.items()),
                body=json.dumps(answer) if answer else "",
            ),
            actor=actor,
            connection=f"browser-{next(self._count)}" if actor == "browser" else own,
        )

    def mcp(self, method: str = "tools/list", *, token: bool = True) -> Exchange:
        message = {"jsonrpc": "2.0", "id": 1, "method": method}
        if not token:
            pointer = {"WWW-Authenticate": f'Bearer resource_metadata="{PRM}"'}
            return self.ask("POST", MCP, message, status=401, answered=pointer)
        bearer = {"Authorization": f"Bearer {self.token}"}
        return self.ask("POST", MCP, message, answer={"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}, **bearer)

    @property
    def token(self) -> str:
        return self.secret or f"at_{self.name}_0123456789abcdef"

    @property
    def redirect(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"

    def discovery(self) -> list[Exchange]:
        return [
            self.mcp("initialize", token=False),
            self.ask("GET", PRM, answer={"resource": MCP, "authorization_servers": [SERVER]}),
            self.ask("GET", ASM, answer=METADATA),
        ]

    def registration(self) -> Exchange:
        wanted = {"client_name": self.name, "redirect_uris": [self.redirect]}
        granted = {"client_id": f"id-{self.name}", **wanted}
        return self.ask("POST", f"{SERVER}/register", wanted, status=201, answer=granted)

    def sign_in(self) -> list[Exchange]:
        verifier = f"{self.name}-verifier-0123456789abcdefghijklmnopqrstuvwxyz0123"
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": f"id-{self.name}",
            "redirect_uri": self.redirect,
            "state": f"state-{self.name}-0123456789abcdef",
            "code_challenge": digest,
            "code_challenge_method": "S256",
            "resource": MCP,
        }
        code = f"code_{self.name}_0123456789abcdef"
        brought = urlencode({"code": code, "state": asked["state"]})
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect}
        form |= {"code_verifier": verifier, "client_id": f"id-{self.name}", "resource": MCP}
        granted = {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600}
        return [
            self.ask("GET", f"{SERVER}/authorize?{urlencode(asked)}", status=302, actor="browser"),
            self.ask("GET", f"{self.redirect}?{brought}", actor="browser"),
            self.ask("POST", f"{SERVER}/token", urlencode(form), answer=granted),
        ]

    def whole(self) -> list[Exchange]:
        return [*self.discovery(), self.registration(), *self.sign_in(), self.mcp("initialize"), self.mcp(), self.mcp()]


def in_turns(*walks: list[Exchange]) -> list[Exchange]:
    """Each a step, over and over."""
    return [step for steps in itertools.zip_longest(*walks) for step in steps if step is not None]


def heard(exchanges: list[Exchange]) -> tuple[SessionAnalyzer, Report]:
    tap = SessionAnalyzer(MCP)
    for number, exchange in enumerate(exchanges):
        tap.add(exchange.model_copy(update={"started_at": 1000.0 + number, "duration": 0.01}))
    return tap, build(tap, now=1000.0 + len(exchanges) + 600)


def owners(exchanges: list[Exchange], report: Report) -> list[set[str]]:
    """For each sign-in, the clients that really sent what was given to it."""
    senders = [(e.connection or "").partition("-")[0] for e in exchanges]
    return [
        {senders[number - 1] for number in one.exchanges if senders[number - 1] != "browser"} for one in report.sign_ins
    ]


def weighty(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.severity != "note"]


# --- one client stays one


def test_one_client_has_a_report_without_sign_ins() -> None:
    _, report = heard(Client("a", 40001, keeps=False).whole())
    assert report.connected
    assert "sign_ins" not in report.model_dump(mode="json")
    assert '"sign_ins"' not in report.model_dump_json()


def test_a_client_that_begins_again_at_another_port_is_one_story() -> None:
    given_up = [*Client("a", 40001).discovery(), Client("a", 40001).registration()]
    _, report = heard([*given_up, *Client("b", 40002).whole()])
    assert report.sign_ins == ()
    assert report.connected


def test_a_login_between_two_commands_that_always_register_the_same_port_is_no_second_client() -> None:
    # `claude mcp list`, `claude mcp login`, `claude mcp list`: the lists register port 3118 and go no further.
    first, second = (Client(name, 3118) for name in ("list", "list-again"))
    lists = [[*client.discovery(), client.registration()] for client in (first, second)]
    exchanges = [*lists[0], *Client("login", 54953).whole(), *lists[1]]
    _, report = heard(exchanges)
    assert report.sign_ins == ()


def test_two_sign_ins_of_one_program_at_one_port_are_one_client() -> None:
    twice = [Client("a", 40001, keeps=False), Client("b", 40001, keeps=False)]
    _, report = heard(in_turns(*(client.whole() for client in twice)))
    assert report.sign_ins == ()


def test_a_client_that_asks_from_another_process_while_it_signs_in_is_one() -> None:
    named = "claude-code/2.1.330 (cli)"
    main, login = Client("main", 0, named, named), Client("login", 40001, "Bun/1.4.4", named)
    _, report = heard(in_turns([main.mcp(token=False) for _ in range(8)], login.whole()))
    assert report.sign_ins == ()


def test_a_look_with_curl_in_the_middle_is_no_second_client() -> None:
    walk = Client("a", 40001).whole()
    _, report = heard([*walk[:4], Client("curl", 0, "curl/8.5.0").mcp(token=False), *walk[4:]])
    assert report.sign_ins == ()
    assert report.connected


# --- several are told apart


@pytest.mark.parametrize("keeps", [True, False])
def test_three_of_one_program_at_once_are_three(keeps: bool) -> None:
    clients = [Client(name, 40001 + n, keeps=keeps) for n, name in enumerate("abc")]
    exchanges = in_turns(*(client.whole() for client in clients))
    _, report = heard(exchanges)
    assert [one.connected for one in report.sign_ins] == [True] * 3
    if keeps:
        assert owners(exchanges, report) == [{"a"}, {"b"}, {"c"}]
        assert [len(one.exchanges) for one in report.sign_ins] == [10] * 3
    else:
        # Discovery on connections of its own says nothing of its sender; what is signed in with does.
        signed_in = [{e for e in one.exchanges if e > 9} for one in report.sign_ins]
        assert [{(e - 1) % 3 for e in own} for own in signed_in] == [{0}, {1}, {2}]


def test_their_findings_do_not_mix() -> None:
    clients = [Client(name, 40001 + n) for n, name in enumerate("abc")]
    alone = [heard(client.whole())[1] for client in clients]
    _, report = heard(in_turns(*(client.whole() for client in clients)))
    assert report.connected
    assert [sorted(f.rule for f in one.findings) for one in report.sign_ins] == [
        sorted(f.rule for f in one.findings) for one in alone
    ]


def test_a_client_that_stops_beside_two_that_connect_has_a_cause_of_its_own() -> None:
    healthy = [Client("a", 40001, "node"), Client("b", 40002, "Bun/1.4.4", "claude-code/2.1.330")]
    refused = Client("c", 40003, "python-httpx/0.28.1")
    no = {"error": "invalid_redirect_uri", "error_description": "not on the list"}
    walk = [
        *refused.discovery(),
        refused.ask("POST", f"{SERVER}/register", {"redirect_uris": [refused.redirect]}, status=400, answer=no),
    ]
    exchanges = in_turns(*(client.whole() for client in healthy), walk)
    _, report = heard(exchanges)
    assert owners(exchanges, report) == [{"a"}, {"b"}, {"c"}]
    assert [one.connected for one in report.sign_ins] == [True, True, False]
    assert [one.reached for one in report.sign_ins][2] == "client-registration"
    assert report.sign_ins[2].cause is not None
    assert report.cause == report.sign_ins[2].cause
    assert not report.connected
    assert [one.cause for one in report.sign_ins[:2]] == [None, None]


def test_another_program_that_stops_before_it_registers_is_a_client_of_its_own() -> None:
    healthy = Client("a", 40001, "Bun/1.4.4", "claude-code/2.1.330")
    exchanges = in_turns(healthy.whole(), Client("b", 0, "python-httpx/0.28.1").discovery())
    _, report = heard(exchanges)
    assert owners(exchanges, report) == [{"a"}, {"b"}]
    assert "bearer-missing-after-login" not in weighty(report)


def test_what_was_given_to_the_wrong_client_is_put_right_when_a_token_tells() -> None:
    walks = [Client(name, 40001 + n).whole() for n, name in enumerate("ab")]
    for walk in walks:  # what is not MCP goes over a second connection, which at first nothing ties to the first one
        walk[:] = [
            e.model_copy(update={"connection": e.connection + "2"})
            if e.connection and e.actor == "client" and e.request.url != MCP
            else e
            for e in walk
        ]
    first, second = walks
    exchanges = [first[0], second[0], *second[1:4], *first[1:4], *second[4:], *first[4:]]
    _, report = heard(exchanges)
    assert owners(exchanges, report) == [{"a"}, {"b"}]
    assert [len(one.exchanges) for one in report.sign_ins] == [10, 10]


def test_a_server_that_gives_everybody_the_same_token_joins_nobody() -> None:
    clients = [Client(name, 40001 + n, secret="at_the_same_for_all_0123") for n, name in enumerate("ab")]
    exchanges = in_turns(*(client.whole() for client in clients))
    _, report = heard(exchanges)
    assert owners(exchanges, report) == [{"a"}, {"b"}]


def test_what_is_nobodys_is_told_once_and_known_to_all() -> None:
    clients = [Client(name, 40001 + n) for n, name in enumerate("ab")]
    look = Client("look", 0, "oauthtap/0").mcp("ping", token=False).model_copy(update={"actor": "reporter"})
    _, report = heard([look, *in_turns(*(client.whole() for client in clients))])
    told = [(f.rule, f.at, f.message) for f in report.findings if f.exchange == 1]
    assert len(told) == len(set(told))
    assert [step.id for step in report.exchanges] == list(range(1, 22))
    assert all(1 not in one.exchanges for one in report.sign_ins)


# --- the engine around it


def test_live_and_from_file_are_one() -> None:
    walks = [Client(name, 40001 + n, keeps=n > 0).whole() for n, name in enumerate("abc")]
    tap, report = heard(in_turns(*walks))
    again = SessionAnalyzer(MCP)
    for step in tap.steps:  # struck out already, as a session holds them
        again.add(step.exchange)
    assert build(again, now=tap.handshake.ended).model_dump() == report.model_dump()


def test_each_step_says_whose_it_is_as_soon_as_there_are_several() -> None:
    tap, _ = heard(in_turns(*(Client(name, 40001 + n).whole() for n, name in enumerate("ab"))))
    assert {step.client for step in tap.steps} == {"A", "B"}
    assert [step.exchange.id for step in tap.steps] == list(range(1, 21))


def test_a_long_session_of_several_is_let_go_of_like_one_and_every_line_is_told() -> None:
    clients = [Client(name, 40001 + n) for n, name in enumerate("ab")]
    many = [client.mcp() for client in clients for _ in range(200)]
    tap, report = heard([*in_turns(*(client.whole() for client in clients)), *many])
    assert len(tap.steps) < 150
    assert [step.id for step in report.exchanges] == list(range(1, 421))
    assert [len(one.exchanges) for one in report.sign_ins] == [210, 210]


def test_what_was_let_go_of_before_the_second_came_is_told_all_the_same() -> None:
    first, second = Client("a", 40001), Client("b", 40002, "python-httpx/0.28")
    late = in_turns(second.whole(), [first.mcp() for _ in range(10)])
    _, report = heard([*first.whole(), *(first.mcp() for _ in range(100)), *late])
    assert [step.id for step in report.exchanges] == list(range(1, 131))
    assert [len(one.exchanges) for one in report.sign_ins] == [120, 10]


def test_what_is_remembered_does_not_grow_with_every_connection() -> None:
    client = Client("a", 40001, keeps=False)
    tap = SessionAnalyzer(MCP)
    for exchange in [*client.whole(), *(client.mcp() for _ in range(5000))]:
        tap.add(exchange)
    marks = tap._callers._threads._of
    assert len(marks) < 2100


def test_a_program_that_signs_in_under_the_name_of_its_library_is_one_beside_another() -> None:
    hosted = Client("hosted", 40001, "python-httpx/0.27", "Claude-User", keeps=False)
    exchanges = in_turns(hosted.whole(), Client("b", 40002, "Bun/1.4.4", "claude-code/2.1.330").whole())
    _, report = heard(exchanges)
    assert owners(exchanges, report) == [{"hosted"}, {"b"}]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_tells_them_apart(name: str) -> None:
    tap, report = heard(in_turns(*(Client(name, 40001 + n).whole() for n, name in enumerate("ab"))))
    text = FORMATS[name](report, tuple(step.exchange for step in tap.steps))
    assert text
    if name == "console":
        assert "Client A: " in text
        assert re.search(r"^· +20B mcp-request ", text, re.M)
    elif name == "markdown":
        assert "- Client B, " in text
        assert "| 20 B | mcp-request |" in text
    elif name == "html":
        assert "Client B" in text
        assert ">20 B<" in text
    elif name == "json":
        assert [one["letter"] for one in json.loads(text)["sign_ins"]] == ["A", "B"]
