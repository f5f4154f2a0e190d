"""What is known of clients: told with its source and its age, and refused where a file says what nobody asked for."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files
from typing import get_args

import pytest
from pydantic import ValidationError

from oauthtap.clients import files as client_files
from oauthtap.clients import known, profiles
from oauthtap.clients.forecast import ClientForecast, forecast
from oauthtap.clients.messages import messages
from oauthtap.clients.profile import STALE, Profile
from oauthtap.clients.traits import Basis
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.drive.driver import drivers
from oauthtap.formats import load_recording, loader, notation
from oauthtap.render import labels
from oauthtap.report.build import build
from oauthtap.report.model import Report
from tests.support.bed import TARGETS
from tests.support.exchanges import RESOURCE
from tests.unit.formats.test_loader import RECORDINGS
from tests.unit.handshake.test_classify import SIGN_IN

WANTED = {
    "claude-code", "claude-ai", "mcp-inspector", "typescript-sdk-1", "typescript-sdk-2", "python-sdk-1",
    "python-sdk-2", "fastmcp", "mcp-remote", "mcporter", "vs-code", "codex", "gemini-cli", "cursor", "chatgpt",
}  # fmt: skip
SEEN = max(profile.seen for profile in profiles())


def outlooks(name: str, today: date = SEEN) -> dict[str, ClientForecast]:
    return {outlook.slug: outlook for outlook in judged(name, today).clients}


def judged(name: str, today: date = SEEN) -> Report:
    recording = loader.read(RECORDINGS / "corpus" / f"{name}.har")
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap, now=recording.until, today=today)


def test_the_clients_people_use_are_there() -> None:
    assert {profile.slug for profile in profiles()} >= WANTED


def test_every_profile_says_where_it_is_known_from() -> None:
    assert all(len(profile.source) > 10 and profile.versions for profile in profiles())


def test_a_client_is_one_data_file_with_its_messages_last() -> None:
    names = {file.name for file in files("oauthtap.clients").iterdir() if file.name.endswith(".toml")}
    known = {one.slug for one in (*profiles(), *messages())} | set(drivers())
    assert {f"{slug}.toml" for slug in known} == names
    for name, said in client_files.whole().items():
        assert client_files.without_messages()[name] == {
            key: value for key, value in said.items() if key not in ("message", "otherwise")
        }, f"{name}.toml: [[message]] and [[otherwise]] stand last"


def test_no_profile_claims_what_nobody_is_named_for() -> None:
    """Every member stands below `[trait]`, with how, when and where it was seen; the rest says who the client is."""
    described = {"versions", "seen", "evidence", "source", "hosted", "recognize", "callback", "unknown", "measured"}
    for slug, said in client_files.without_messages().items():
        assert not said.keys() - described - {"trait"} - client_files.NOT_OF_PROFILE, slug
        for name, trait in said.get("trait", {}).items():
            assert trait["basis"] in get_args(Basis), (slug, name)
            assert len(trait["source"]) > 8, (slug, name)


def test_what_no_file_says_of_a_client_is_not_known_of_it() -> None:
    for one in known():
        assert set(Profile.behaviour()) - one.traits.keys() <= set(one.profile.unknown), one.profile.slug


@pytest.mark.parametrize(
    ("member", "told", "instead"),
    [
        ("token_type", '"token_type": "Bearer"', '"expires_in": 60'),
        ("registration_redirect_uris", '"c1", "redirect_uris": ["http://localhost:3118/callback"]', '"c1"'),
        ("response_types", '"response_types_supported": ["code"], ', ""),
        ("pkce", '["S256"]', '["plain"]'),
    ],
)
def test_where_a_server_asks_what_is_not_known_no_forecast_is_made(member: str, told: str, instead: str) -> None:
    assert told in SIGN_IN
    tap = SessionAnalyzer(RESOURCE)
    for exchange in notation.parse(SIGN_IN.replace(told, instead)):
        tap.add(exchange)
    (client,) = tap.clients
    knows = next(one for one in profiles() if one.slug == "typescript-sdk-2").model_copy(update={"issuer_rule": "none"})
    assert forecast(knows, client.handshake).why != f"what {knows.name} does about this is not known"
    nobody = knows.model_copy(update={"unknown": (member,)})
    assert forecast(nobody, client.handshake).why == f"what {knows.name} does about this is not known"
    assert forecast(nobody, client.handshake).outcome == "unknown"


def test_what_was_measured_says_version_and_date_and_each_server() -> None:
    for slug in ("ai-sdk", "claude-code", "codex", "gemini-cli", "opencode", "python-sdk-2", "qwen-code"):
        measured = next(one.measured for one in profiles() if one.slug == slug)
        assert measured is not None
        assert {*TARGETS, "closed-as", "nosuch-as"} == measured.bed.keys()
        assert measured.bed["f16"] == "connects"
        assert measured.version[0].isdigit()


def test_an_unknown_key_is_refused() -> None:
    known = profiles()[0].model_dump()
    with pytest.raises(ValidationError, match="guesses_a_lot"):
        Profile(**{**known, "guesses_a_lot": True})


def test_whoever_falls_back_to_the_origin_gets_on_without_resource_metadata() -> None:
    """The second field report: no resource metadata anywhere, but the metadata of 2025-03-26 at the root."""
    seen = outlooks("203-seed-prm-missing-everywhere")
    for profile in profiles():
        if "without_prm" in profile.unknown:
            assert "is not known" in seen[profile.slug].why, seen[profile.slug]
            continue
        gets_on = seen[profile.slug].outcome == "unknown" and "by the fallback" in (seen[profile.slug].why or "")
        assert gets_on is (profile.without_prm == "origin"), seen[profile.slug]
        assert gets_on or seen[profile.slug].outcome == "stops"
    assert seen["claude-code"].outcome != seen["claude-ai"].outcome


def test_a_member_that_a_log_does_not_show_is_no_missing_member() -> None:
    """mcp-remote names the authorization server that the resource metadata list, and not their `resource`."""
    text = (
        "[77] Discovering OAuth server configuration...\n[77] Discovered authorization server: https://as.example.com\n"
        "[77] Connecting to remote server: https://mcp.example.com/mcp\n[77] Using transport strategy: http-first\n"
    )
    recording = load_recording(text)
    assert recording is not None
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    seen = build(tap, now=None, today=SEEN).clients
    assert seen
    assert {one.outcome for one in seen} == {"unknown"}


def test_what_is_only_reported_is_marked_and_what_is_old_says_its_age() -> None:
    old = SEEN + timedelta(days=STALE + 1)
    told = "\n".join(
        line for _, lines in labels.others(judged("203-seed-prm-missing-everywhere", old)) for line in lines
    )
    for profile in profiles():
        assert f"{profile.name}{labels.EVIDENCE[profile.evidence]} (as of {profile.seen})" in told
    assert "(reported)" in told
    fresh = "\n".join(line for _, lines in labels.others(judged("203-seed-prm-missing-everywhere")) for line in lines)
    assert f"(as of {SEEN})" not in fresh
