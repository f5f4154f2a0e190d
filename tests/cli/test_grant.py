"""`oauthtap grant`, and `--grant` at a server that asks for consent and takes each refresh token once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oauthtap.grants.grant_file import KEY, GrantFile, new_key
from tests.support.bed import Bed
from tests.support.bed.consent import Consent
from tests.support.running import COMMAND, environment, to_the_bed


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with Bed(Consent) as started:
        yield started


@pytest.fixture
def server(bed: Bed) -> Consent:
    found = bed.origins[Consent.host]
    assert isinstance(found, Consent)
    found.asks, found.slow, found.refreshed, found.reused = False, 0.0, 0, 0
    return found


class Person:
    """Somebody with a home, a key and a grant."""

    def __init__(self, bed: Bed, home: Path) -> None:
        self.bed, self.home, self.file = bed, home, home / "mcp.grant"
        self.env = environment(home) | {KEY: new_key()}

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        command = [str(COMMAND), *map(str, words), *to_the_bed(self.bed)]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str | Path) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=90)
        return process.returncode, out + err

    def grant(self) -> None:
        code, said = self.run("grant", self.bed.url("consent"), "-o", self.file, "--headless")
        assert (code, "Kept in" in said) == (0, True), said

    def probe(self, *more: str | Path) -> tuple[int, str]:
        return self.run("probe", self.bed.url("consent"), "--grant", self.file, *more)


@pytest.fixture
def person(bed: Bed, server: Consent, tmp_path: Path) -> Person:
    one = Person(bed, tmp_path)
    one.grant()
    server.asks = True
    return one


def test_where_consent_is_asked_a_grant_leads_to_tools_list_again_and_again(
    person: Person, server: Consent, tmp_path: Path
) -> None:
    code, said = person.run("probe", person.bed.url("consent"), "--headless")
    assert code == 1, said
    with ThreadPoolExecutor(3) as three:
        runs = list(three.map(lambda number: person.probe("--session", tmp_path / str(number)), range(3)))
    assert [code for code, _ in runs] == [0, 0, 0], runs
    assert (server.refreshed, server.reused) == (3, 0)
    report = json.loads((tmp_path / "0" / "report.json").read_text())
    assert report["connected"]
    assert [one["rule"] for one in report["findings"] if one["severity"] != "note"] == []
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    states = {entry.query.get("state", "") for entry in person.bed.log}
    secrets = [value for value in person.bed.issued if value not in states and not value.startswith("jti_")]
    assert secrets
    assert not [(file, value) for file in files for value in secrets if value.encode() in file.read_bytes()]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_while_the_token_is_out_loses_nothing(
    person: Person, server: Consent, sign: signal.Signals
) -> None:
    server.slow = 1.0
    run = person.start("probe", person.bed.url("consent"), "--grant", person.file)
    until = time.monotonic() + 60
    while not server.refreshed and time.monotonic() < until:
        time.sleep(0.01)
    run.send_signal(sign)
    assert run.wait(timeout=30) == 130
    server.slow = 0.0
    code, said = person.probe()
    assert code == 0, said
    assert server.reused == 0


def test_a_kill_before_the_answer_is_told_the_next_time(person: Person, server: Consent) -> None:
    server.slow = 1.0
    run = person.start("probe", person.bed.url("consent"), "--grant", person.file)
    until = time.monotonic() + 60
    while not server.refreshed and time.monotonic() < until:
        time.sleep(0.01)
    run.kill()
    run.wait(timeout=30)
    server.slow = 0.0
    code, said = person.probe()
    assert code == 1
    told = " ".join(said.split())
    assert "an earlier run ended before it heard an answer" in told
    assert "Make a new grant" in told


def test_a_server_that_now_names_another_token_endpoint_gets_nothing(
    person: Person, server: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = server.metadata() | {"token_endpoint": "https://f16.mcp.test/token"}
    monkeypatch.setattr(server, "metadata", lambda: elsewhere)
    with person.bed.watching() as arrived:
        code, said = person.probe()
    assert code == 1
    assert "nothing was sent there" in " ".join(said.split())
    assert not [one for one in arrived if one.path == "/token"]


def test_wrong_use_is_2_and_says_what_to_type(person: Person) -> None:
    other = person.run("probe", person.bed.url("good"), "--grant", person.file)
    missing = person.run("probe", person.bed.url("consent"), "--grant", person.home / "none")
    person.env[KEY] = new_key()
    wrong = person.probe()
    del person.env[KEY]
    unset = person.probe()
    nothing = person.run("grant", person.bed.url("consent"))
    for code, said in (other, missing, wrong, unset, nothing):
        assert (code, "Try: " in said) == (2, True), said


def test_client_credentials_are_kept_and_used(person: Person, server: Consent, tmp_path: Path) -> None:
    server.clients["robot"] = {"client_id": "robot", "client_secret": "s3cret-of-the-robot", "redirect_uris": []}
    person.env["OAUTHTAP_CLIENT_SECRET"] = "s3cret-of-the-robot"
    words = ("grant", person.bed.url("consent"), "-o", tmp_path / "robot.grant", "--client-credentials")
    code, said = person.run(*words, "--client-id", "robot")
    assert code == 0, said
    del person.env["OAUTHTAP_CLIENT_SECRET"]
    code, said = person.run("probe", person.bed.url("consent"), "--grant", tmp_path / "robot.grant")
    assert code == 0, said
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()]
    assert os.access(tmp_path / "robot.grant", os.R_OK)


def test_a_grant_is_revoked_and_its_file_deleted(person: Person, server: Consent) -> None:
    clients, server.clients = server.clients, {}
    code, said = person.run("grant", "--revoke", person.file)
    assert (code, "HTTP 401 invalid_client" in said, person.file.exists()) == (1, True, True), said
    assert not [value for value in person.bed.issued if value.startswith("rt") and value in said]
    server.clients = clients
    assert person.probe()[0] == 0  # it was kept as it was
    before = set(server.refresh_tokens)
    code, said = person.run("grant", "--revoke", person.file)
    assert (code, person.file.exists()) == (0, False), said
    assert len(before - set(server.refresh_tokens)) == 1
    assert person.run("grant", "--revoke", person.file)[0] == 2


def test_a_grant_without_a_revocation_endpoint_is_kept(person: Person) -> None:
    file = GrantFile(person.file, person.env[KEY])
    file.create(file.read().model_copy(update={"revocation_endpoint": "https://elsewhere.mcp.test/revoke"}))
    with person.bed.watching() as arrived:
        code, said = person.run("grant", "--revoke", person.file)
    assert (code, "revocation_endpoint" in said, person.file.exists(), list(arrived)) == (2, True, True, []), said
