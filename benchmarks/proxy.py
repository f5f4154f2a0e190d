"""What watching costs, and what a kill loses: `uv run python -m benchmarks.proxy [--full]`.

Plain `mitmdump -q --mode reverse`, `oauthtap --no-web` and `oauthtap` stand before one
upstream and take turns, round after round, so that whatever else the machine does hits
all of them. The session is signed in, so every request is judged, written to the session
folder twice and redacted. Rates of one run mean nothing on a shared machine: what counts
is the processor time a request costs in the proxy's own process. At the end it says which
of the goals are met, and exits with 1 when one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.metadata
import itertools
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil

from benchmarks.upstream import EVENTS, TOKEN

BIN = Path(sys.executable).parent
CONNECTIONS = 4
CALLBACK = "http://127.0.0.1:9/callback"
PASSING = "mitmdump -q, streaming"
"""Only for the streams: as it comes, mitmdump holds the beginning of one back."""
SUBJECTS = ("mitmdump -q", "oauthtap --no-web", "oauthtap")
_QUIET = 0.05
"""Seconds between the stream of one proxy and that of the next."""
SESSION = "Mcp-Session-Id: bench-session\r\nMCP-Protocol-Version: 2025-11-25\r\n"


@dataclass
class Plan:
    """How long to measure."""

    rounds: int = 8
    requests: int = 300
    starts: int = 4
    streams: int = 10
    marks: tuple[int, ...] = (3_000, 6_000)
    """After how many exchanges to look at the memory."""
    kills: int = 12
    """How often to kill it under four busy connections."""


FULL = Plan(rounds=16, requests=600, starts=10, streams=40, marks=(10_000, 50_000))


@dataclass
class Subject:
    """One proxy, running, and what was measured of it."""

    name: str
    upstream: int
    home: Path
    port: int = 0
    exchanges: int = 0
    cpu: list[float] = field(default_factory=list)
    """Microseconds a request, per round."""
    rate: list[float] = field(default_factory=list)
    first_event: list[float] = field(default_factory=list)
    """Milliseconds from the request to the first event."""
    event: list[float] = field(default_factory=list)
    """Milliseconds an event is under way."""
    startup: list[float] = field(default_factory=list)
    """Seconds until it listens."""
    answered: list[float] = field(default_factory=list)
    """Seconds until it has answered a request that came as soon as it listened."""
    memory: dict[int, float] = field(default_factory=dict)
    """MB after that many exchanges."""
    added: list[float] = field(default_factory=list)
    """Milliseconds of a request by itself, with nobody else there."""
    lost: list[int] = field(default_factory=list)
    """Exchanges that were answered and are not in the session, per kill."""

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.port, web = free_port(), free_port()
        origin = f"http://127.0.0.1:{self.upstream}"
        if self.name.startswith("mitmdump"):
            words = [BIN / "mitmdump", "-q", "--mode", f"reverse:{origin}@127.0.0.1:{self.port}"]
            words += ["--set", f"confdir={self.home}/mitmproxy"]
            words += ["--set", "stream_large_bodies=1"] if self.name == PASSING else []
        else:
            words = [BIN / "oauthtap", "--upstream", f"{origin}/mcp", "--port", str(self.port)]
            words += ["--session", self.home / f"session-{self.port}"]
            words += ["--no-web"] if self.name.endswith("no-web") else ["--web-port", str(web)]
        kept = os.environ | {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state")}
        with (self.home / "said.txt").open("ab") as said:
            began = time.perf_counter()
            self.process = subprocess.Popen(words, env=kept, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        while not accepts(self.port):
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"{self.name} does not start:\n{(self.home / 'said.txt').read_text()}")
            time.sleep(0.005)
        self.startup.append(time.perf_counter() - began)
        ask(self.port, "POST", "/mcp", call(1), token="")
        self.answered.append(time.perf_counter() - began)

    def stop(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End it; at once, because the end of a long session is none of what is measured."""
        self.process.send_signal(sign)
        self.process.wait(timeout=60)

    def round(self, requests: int) -> None:
        """So many requests over a few connections, and what they cost."""
        process = psutil.Process(self.process.pid)
        before, began = process.cpu_times(), time.perf_counter()
        fire(self.port, requests)
        after, took = process.cpu_times(), time.perf_counter() - began
        self.cpu.append((after.user + after.system - before.user - before.system) / requests * 1e6)
        self.rate.append(requests / took)
        self.exchanges += requests

    def weigh(self, mark: int) -> None:
        """Its memory once it has carried that many exchanges."""
        fire(self.port, max(0, mark - self.exchanges))
        self.exchanges = max(self.exchanges, mark)
        self.memory[mark] = psutil.Process(self.process.pid).memory_info().rss / 1e6

    def alone(self, requests: int) -> None:
        """Requests one after the other on one connection: what a person waits for."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            for number in range(requests):
                began = time.perf_counter()
                line.sendall(request(self.port, call(number + 3)))
                receive(line)
                self.added.append((time.perf_counter() - began) * 1e3)
        self.exchanges += requests

    def kill(self, seconds: float) -> int:
        """Kill it under busy connections. Gives how many exchanges were answered, and notes how many are lost."""
        answered: set[int] = set()
        threads = [
            threading.Thread(target=ask_until_killed, args=(self.port, 1_000_000 * (n + 1), answered))
            for n in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
        lines = (self.home / f"session-{self.port}" / "session.jsonl").read_text("utf-8").split("\n")
        self.lost.append(len(answered - set(recorded(lines))))
        return len(answered)

    def stream(self) -> None:
        """One stream of events from its beginning to its end."""
        first, delays = listen(self.port)
        self.first_event.append(first)
        self.event += delays


# --- the client


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def accepts(port: int) -> bool:
    """Somebody listens there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def sign_in(port: int) -> None:
    """Walk the whole handshake once, as a client and its browser do."""
    status, headers, _ = ask(port, "POST", "/mcp", call(1), token="")
    assert status == 401
    _, _, prm = ask(port, "GET", urlsplit(headers["www-authenticate"].split('"')[1]).path)
    place = urlsplit(json.loads(prm)["authorization_servers"][0])
    _, _, found = ask(port, "GET", f"{place.path}/.well-known/oauth-authorization-server")
    server = json.loads(found)
    asked = json.dumps({"redirect_uris": [CALLBACK], "client_name": "bench", "token_endpoint_auth_method": "none"})
    ask(port, "POST", urlsplit(server["registration_endpoint"]).path, asked)
    query = {"response_type": "code", "client_id": "bench", "redirect_uri": CALLBACK, "state": "st-91b6cc05"}
    query |= {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    url = f"{server['authorization_endpoint']}?{urlencode(query)}"
    while not url.startswith(CALLBACK):
        parts = urlsplit(url)
        assert parts.port
        _, headers, _ = ask(parts.port, "GET", f"{parts.path}?{parts.query}")
        url = headers["location"]
    form = {"grant_type": "authorization_code", "code": "bench-code-7d1e90c3a2", "client_id": "bench"}
    form |= {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "redirect_uri": CALLBACK}
    ask(port, "POST", urlsplit(server["token_endpoint"]).path, urlencode(form))
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    status, _, _ = ask(port, "POST", "/mcp", call(2, "initialize", hello))
    assert status == 200


def ask(port: int, method: str, target: str, body: str = "", token: str = TOKEN) -> tuple[int, dict[str, str], str]:
    """One request: status, headers by name in lower case, body."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
    headers = {"Accept": "application/json, text/event-stream", **({"Content-Type": kind} if body else {})}
    headers |= {"Authorization": f"Bearer {token}"} if token and target == "/mcp" else {}
    line.request(method, target, body or None, headers)
    got = line.getresponse()
    said = got.read().decode()
    line.close()
    return got.status, {name.lower(): value for name, value in got.getheaders()}, said


def call(number: int, method: str = "tools/call", params: object = None) -> str:
    """A JSON-RPC request."""
    city = f"place {number * 7919} of {random.randrange(10**9)}"
    params = params or {"name": "weather", "arguments": {"city": city, "days": number % 7, "of": "the forecast"}}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def fire(port: int, requests: int) -> None:
    """MCP requests with the token, over a few connections, one after the other on each."""
    share = [requests // CONNECTIONS + (n < requests % CONNECTIONS) for n in range(CONNECTIONS)]
    failed: list[str] = []

    def work(times: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as line:
                for number in range(times):
                    line.sendall(request(port, call(number + 3)))
                    if not (head := receive(line)).startswith(b"HTTP/1.1 200"):
                        raise OSError(head[:200])
        except OSError as problem:
            failed.append(str(problem))

    threads = [threading.Thread(target=work, args=(times,)) for times in share if times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(f"a request failed: {failed[0]}")


def ask_until_killed(port: int, first: int, answered: set[int]) -> None:
    """Requests on one connection until it breaks; the numbers of those that were answered."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        for number in itertools.count(first):
            line.sendall(request(port, call(number)))
            receive(line)
            answered.add(number)


def recorded(lines: list[str]) -> Iterator[int]:
    """The numbers of the JSON-RPC requests in a session; its last line may be torn."""
    for line in lines:
        with contextlib.suppress(ValueError):
            body = json.loads(line).get("request", {}).get("body") or "{}"
            if isinstance(number := json.loads(body).get("id"), int):
                yield number


def request(port: int, body: str) -> bytes:
    """A POST of that body, or a GET of the stream without one."""
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    accepts = "application/json, text/event-stream" if body else "text/event-stream"
    return (
        f"{'POST' if body else 'GET'} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: {accepts}\r\n{kind}{SESSION}"
        f"User-Agent: bench/1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n{body}"
    ).encode()


def receive(line: socket.socket) -> bytes:
    """One whole answer with a Content-Length."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (more := line.recv(65536)):
            raise OSError("closed before an answer")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        if not (more := line.recv(65536)):
            raise OSError("closed within an answer")
        body += more
    return head


def listen(port: int) -> tuple[float, list[float]]:
    """Milliseconds to the first event of a stream, and those each event was under way."""
    first, delays, got = 0.0, [], b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic_ns()
        line.sendall(request(port, ""))
        while len(delays) < EVENTS:
            if not (more := line.recv(65536)):
                raise SystemExit("the stream broke off")
            now = time.monotonic_ns()
            got += more
            while (at := got.find(b'"sent": ')) >= 0 and (end := got.find(b"}", at)) >= 0:
                delays.append((now - int(got[at + 8 : end])) / 1e6)
                first = first or (now - began) / 1e6
                got = got[end:]
    return first, delays


# --- measuring


def measure(plan: Plan, say: Callable[[str], None]) -> list[Subject]:
    """Every figure of every subject, in rounds that take turns."""
    with running(plan.starts, say) as (direct, subjects):
        for number in range(plan.rounds + 1):
            say(f"round {number} of {plan.rounds}")
            for subject in subjects:
                subject.round(plan.requests)
                if number == 0:  # to get warm
                    subject.cpu.clear()
                    subject.rate.clear()
        say("one request at a time")
        for _ in range(plan.rounds):
            for subject in (direct, *subjects):
                subject.alone(25)
        say("streams")
        passing = Subject(PASSING, direct.port, subjects[0].home)
        try:
            passing.start()
            for _ in range(plan.streams):
                for subject in (direct, passing, *subjects):
                    time.sleep(_QUIET)  # what one does at the end of its stream is not to hold up the next one's
                    subject.stream()
        finally:
            passing.stop()
        for mark in plan.marks:
            say(f"memory at {mark} exchanges")
            for subject in subjects:
                subject.weigh(mark)
        for number in range(plan.kills):
            say(f"kill {number + 1} of {plan.kills}")
            for subject in subjects[1:]:
                if number:
                    subject.start()
                    sign_in(subject.port)
                subject.kill(random.uniform(0.3, 1.0))
            for subject in subjects:  # what a start under that load takes is none of the figures
                del subject.startup[plan.starts :], subject.answered[plan.starts :]
    return [direct, passing, *subjects]


@contextlib.contextmanager
def running(starts: int, say: Callable[[str], None]) -> Iterator[tuple[Subject, list[Subject]]]:
    """The upstream, and the three subjects before it, signed in; each started several times in turn."""
    upstream = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream"], stdout=subprocess.PIPE, text=True)
    assert upstream.stdout
    port = int(upstream.stdout.readline())
    with tempfile.TemporaryDirectory(prefix="oauthtap-bench-") as folder:
        subjects = [Subject(name, port, Path(folder) / str(n)) for n, name in enumerate(SUBJECTS)]
        try:
            for subject in subjects:
                subject.home.mkdir()
            for number in range(starts + 1):
                say(f"start {number} of {starts}")
                for subject in subjects:
                    if number:
                        subject.stop()
                    subject.start()
            for subject in subjects:
                # The first makes certificates.
                subject.startup, subject.answered = subject.startup[1:], subject.answered[1:]
                sign_in(subject.port)
            yield Subject("direct", port, Path(folder), port=port), subjects
        finally:
            for process in [upstream, *(subject.process for subject in subjects if hasattr(subject, "process"))]:
                process.kill()
                process.wait()
            upstream.stdout.close()


def table(measured: list[Subject]) -> str:
    """The figures as a Markdown table; in brackets the ratio to mitmdump, the first that has one."""
    plain = next(subject for subject in measured if subject.cpu)
    lines = ["| |" + "|".join(subject.name for subject in measured) + "|", "|---" * (len(measured) + 1) + "|"]

    def line(words: str, figure: Callable[[Subject], float | None], digits: int = 0, ratio: bool = True) -> None:
        cells, base = [], figure(plain)
        for value in map(figure, measured):
            cell = "" if value is None else f"{value:,.{digits}f}"
            cells.append(f"{cell} ({value / base:.2f}x)" if ratio and value is not None and base else cell)
        lines.append(f"|{words}|" + "|".join(cells) + "|")

    line("CPU a request, µs, least round", lambda s: min(s.cpu, default=None))
    line("CPU a request, µs, median round", lambda s: statistics.median(s.cpu) if s.cpu else None)
    line("its ratio, round by round, median", lambda s: _beside(s.cpu, plain.cpu), 2, ratio=False)
    line("a request by itself, ms, median", lambda s: statistics.median(s.added) if s.added else None, 2, ratio=False)
    line("requests a second, median round", lambda s: statistics.median(s.rate) if s.rate else None)
    line("start until it listens, s, least", lambda s: min(s.startup) if s.cpu else None, 2)
    line("start until it listens, s, median", lambda s: statistics.median(s.startup) if s.cpu else None, 2)
    line("start until it has answered, s, least", lambda s: min(s.answered) if s.cpu else None, 2)
    line("start until it has answered, s, median", lambda s: statistics.median(s.answered) if s.cpu else None, 2)
    line("first event, ms, median", lambda s: statistics.median(s.first_event), 2, ratio=False)
    line("delay of an event, ms, median", lambda s: statistics.median(s.event), 2, ratio=False)
    line("delay of an event, ms, p99", lambda s: statistics.quantiles(s.event, n=100)[98], 2, ratio=False)
    for mark in plain.memory:
        line(f"memory after {mark:,} exchanges, MB", lambda s, mark=mark: s.memory.get(mark), ratio=False)  # type: ignore[misc]
    killed = [s for s in measured if s.lost]
    told = ", ".join(f"{s.name} {sum(s.lost)} in {len(s.lost)} kills" for s in killed)
    return "\n".join(lines) + (f"\n\nAnswered, and lost at `kill -9`: {told}." if killed else "")


def goals(measured: list[Subject]) -> list[tuple[bool, str]]:
    """Each goal: is it met, and with which figures."""
    by_name = {subject.name: subject for subject in measured}
    plain, headless, shown = (by_name[name] for name in SUBJECTS)
    told: list[tuple[bool, str]] = []
    for subject, most in ((headless, 1.3), (shown, 1.6)):
        ratio = _beside(subject.cpu, plain.cpu) or 0.0
        told.append((ratio <= most, f"{subject.name}: {ratio:.2f} of mitmdump's CPU a request (at most {most})"))
        later = statistics.median(subject.startup) - statistics.median(plain.startup)
        told.append((later <= 0.5, f"{subject.name}: listens {later:+.2f} s from mitmdump (at most +0.5)"))
        first = statistics.median(subject.first_event) - statistics.median(by_name[PASSING].first_event)
        told.append(
            (first <= 1.0, f"{subject.name}: first event {first:+.2f} ms from mitmdump, streaming (at most +1)")
        )
        weights = list(subject.memory.values())
        grown = (weights[-1] - weights[0]) / (max(subject.memory) - min(subject.memory)) * 1e3
        told.append((grown <= 0.5, f"{subject.name}: {grown:.2f} kB an exchange between the marks (at most 0.5)"))
        told.append(
            (not sum(subject.lost), f"{subject.name}: {sum(subject.lost)} lost in {len(subject.lost)} kills (none)")
        )
    return told


def _beside(figures: list[float], plain: list[float]) -> float | None:
    """The median ratio of figures taken at the same time: what else the machine does hits both of a round alike."""
    return statistics.median(one / other for one, other in zip(figures, plain, strict=True)) if figures else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="more rounds, and memory at 50,000 exchanges")
    parser.add_argument("--rounds", type=int, help="how many rounds")
    arguments = parser.parse_args()
    plan = FULL if arguments.full else Plan()
    plan.rounds = arguments.rounds or plan.rounds
    measured = measure(plan, lambda words: print(f"  {words}", file=sys.stderr, flush=True))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("oauthtap", "mitmproxy")]
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {', '.join(versions)}, ", end="")
    print(f"{os.cpu_count()} cores, {plan.rounds} rounds of {plan.requests} requests each\n\n{table(measured)}\n")
    told = goals(measured)
    print("\n".join(f"- {'met' if met else 'MISSED'}: {words}" for met, words in told))
    return int(not all(met for met, _ in told))


if __name__ == "__main__":
    raise SystemExit(main())
