"""What is kept on request, and what is left out on request: `--keep-secrets` is loud, `--redact claims` is thorough."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import httpx
import jwt
import pytest

from oauthtap.cli import main
from oauthtap.cli.verify import scan_files
from oauthtap.session import MARK
from tests.cli.test_run import SIGN_IN
from tests.support.bed import Bed
from tests.support.canaries import Hostile, canaries, left_in
from tests.support.running import Started, call, started, to_the_bed
from tests.support.wrapping import python, wrapped

PERSON = {"email": "ada@example.com", "name": "Ada Lovelace", "sub": "user-0815"}


def token(tap: Started, known: dict[str, str]) -> None:
    """One exchange with a secret on either side."""
    form = {"grant_type": "authorization_code", "code": known["code"], "code_verifier": known["verifier"]}
    httpx.post(tap.url.replace("/mcp", "/token"), data=form, trust_env=False)
    tap.wait_for("token-request")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Started, dict[str, str]]:
    home, known = tmp_path_factory.mktemp("kept"), canaries()
    with Hostile(known) as server, started(f"{server.origin}/mcp", "--keep-secrets", home=home) as tap:
        token(tap, known)
        tap.end()
    return tap, known


ASKED = {"code", "verifier", "access", "refresh", "id"}


@pytest.mark.parametrize("name", ["session.jsonl", "flows.mitm", "session.har"])
def test_the_recording_has_them(kept: tuple[Started, dict[str, str]], name: str) -> None:
    tap, known = kept
    assert left_in((tap.session / name).read_text("utf-8", "replace"), known) >= ASKED


def test_it_is_loud_on_the_console_in_every_report_and_in_the_folder(kept: tuple[Started, dict[str, str]]) -> None:
    tap, known = kept
    assert "--keep-secrets: session.jsonl, flows.mitm and session.har hold every token" in tap.said
    assert "RECORDED WITH SECRETS" in tap.said
    for name in ("report.md", "report.html"):
        assert "Recorded with secrets." in (tap.session / name).read_text()
    assert tap.report["secrets_kept"] is True
    assert "--keep-secrets" in (tap.session / MARK).read_text()
    assert stat.S_IMODE((tap.session / MARK).stat().st_mode) == 0o600
    for name in ("report.md", "report.html", "report.json", MARK):
        assert not left_in((tap.session / name).read_text(), known), name
    assert not left_in(tap.said, known)


def test_every_part_of_it_says_so_when_it_is_read_again(
    kept: tuple[Started, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    tap, known = kept
    reports = []
    for name in ("", "session.jsonl", "flows.mitm", "session.har"):
        assert main(["check", str(tap.session / name), "--format", "json"]) == 1
        reports.append(capsys.readouterr().out)
    assert [json.loads(text)["secrets_kept"] for text in reports] == [True] * 4
    assert len({json.dumps(json.loads(text)["findings"]) for text in reports}) == 1
    assert not left_in("\n".join(reports), known)


def test_verify_says_that_somebody_asked_for_them(
    kept: tuple[Started, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    tap, known = kept
    assert main(["verify", str(tap.session)]) == 1
    said = capsys.readouterr().out
    assert "recorded with --keep-secrets" in said
    assert not left_in(said, known)
    assert {one.path.name for one in scan_files(tap.session) if one.leaks} == {
        "session.jsonl",
        "flows.mitm",
        "session.har",
    }
    listed = call("sessions", home=tap.home)
    assert "SECRETS INSIDE" not in listed.stdout  # it lies where we said, and not among the others


def test_a_probe_and_a_wrapped_run_keep_them_too(bed: Bed, tmp_path: Path) -> None:
    before = set(bed.issued)
    probed = call("probe", bed.url("good"), "--headless", "--keep-secrets", "--session", tmp_path / "probed",
                  *to_the_bed(bed), home=tmp_path)  # fmt: skip
    assert probed.returncode == 0
    assert "--keep-secrets: " in probed.stderr
    ran = wrapped(
        *python(SIGN_IN.format(url=bed.url("good"))), home=tmp_path / "run", bed=bed, flags=["--keep-secrets"]
    )
    assert "--keep-secrets: " in ran.err
    for session in (tmp_path / "probed", ran.session):
        assert (session / MARK).exists()
        text = (session / "session.jsonl").read_text()
        assert any(secret in text for secret in bed.issued - before if len(secret) > 20)


def test_without_the_flag_nothing_is_marked(tmp_path: Path) -> None:
    with Hostile(canaries()) as server, started(f"{server.origin}/mcp", home=tmp_path) as tap:
        token(tap, canaries())
        tap.end()
    assert not (tap.session / MARK).exists()
    assert tap.report["secrets_kept"] is False
    assert "secrets" not in json.loads((tap.session / "session.jsonl").read_text().splitlines()[0])


# --- claims


def with_a_person(known: dict[str, str]) -> dict[str, str]:
    claims = {"aud": "https://a.example.com", **PERSON}
    return known | {kind: jwt.encode(claims, "k" * 32) for kind in ("access", "id")}


def names(*texts: str) -> set[str]:
    return {value for value in PERSON.values() if any(value in text for text in texts)}


@pytest.mark.parametrize("flags", [["--redact", "claims"], []], ids=["without claims", "as usual"])
def test_persons_are_in_no_file_where_nobody_wants_them(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = with_a_person(canaries())
    with Hostile(known) as server, started(f"{server.origin}/mcp", *flags, home=tmp_path) as tap:
        token(tap, known)
        origin, access = tap.url.removesuffix("/mcp"), {"Authorization": f"Bearer {known['access']}"}
        httpx.get(f"{origin}/userinfo?login_hint=ada%40example.com", headers=access, trust_env=False)
        tap.wait_for("/userinfo")
        tap.end()
    files = {file.name: file.read_text("utf-8", "replace") for file in tap.session.iterdir()}
    found = {name: names(text) for name, text in files.items() if names(text)}
    if flags:
        assert found == {}
        assert names(tap.said) == set()
        assert main(["verify", str(tap.session)]) == 0
        (tap.session / "session.jsonl").open("a").write(
            '{"id": 99, "request": {"method": "GET", "url": "https://a.example.com/?email=bob@example.com"}}\n'
        )
        assert main(["verify", str(tap.session)]) == 1, "it was to have none"
    else:
        assert found["session.jsonl"] == set(PERSON.values())
        for format in ("json", "html", "har", "sarif", "markdown"):
            capsys.readouterr()
            assert main(["check", str(tap.session), "--redact", "claims", "--format", format]) == 1
            assert names(capsys.readouterr().out) == set(), format
