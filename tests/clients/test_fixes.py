"""Real Claude Code: fails as the server is, connects with what is proposed, and without us on the changed server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cures import PROVED, TENANT, TOLERATED, WAITS, Proof, prove, try_it
from tests.support.bed import Bed
from tests.support.clients import run
from tests.support.running import call, started, to_the_bed

pytestmark = pytest.mark.clients

DOCUMENT = Path(__file__).parents[2] / "docs" / "fixes.md"

IN_CI = ("f02", "seed2")
EACH = [pytest.param(name, marks=() if name in IN_CI else pytest.mark.more_clients) for name in PROVED]
"""A proof is four runs of Claude Code: CI has time for a few."""

STEPS = re.compile(r"\d+ of \d+ steps")
"""How many a client takes is its own affair."""

Proofs = Callable[[str], Proof]


@pytest.fixture(scope="module")
def proofs(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    made: dict[str, Proof] = {}

    def proof(target: str) -> Proof:
        if target not in made:
            made[target] = prove(bed, target, tmp_path_factory.mktemp(target))
        return made[target]

    return proof


@pytest.mark.parametrize("target", EACH)
def test_it_fails_as_without_a_tap_and_connects_with_what_is_proposed_and_with_what_is_deployed(
    proofs: Proofs, target: str
) -> None:
    proof = proofs(target)
    assert (proof.direct, proof.tapped) == (target in TOLERATED,) * 2, proof.said
    assert proof.fixes, proof.said
    assert proof.fixed, proof.said
    assert proof.report["connected"] is True
    assert proof.changes, proof.said
    assert proof.after, proof.said


@pytest.mark.parametrize("target", EACH)
def test_the_table_says_what_was_seen(proofs: Proofs, target: str) -> None:
    seen, written = (STEPS.sub("steps", text) for text in (proofs(target).row, DOCUMENT.read_text(encoding="utf-8")))
    assert seen in written, "run: python -m tests.cures"


@pytest.mark.parametrize("target", ["f05", pytest.param("f12", marks=pytest.mark.more_clients), "seed2"])
def test_no_secret_is_left_where_a_fix_was_at_work(bed: Bed, proofs: Proofs, target: str) -> None:
    proof = proofs(target)
    assert proof.session is not None
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = {value for value in bed.issued if value not in states and not value.startswith("jti_")}
    texts = [file.read_text("utf-8", "surrogateescape") for file in proof.session.iterdir()]
    assert secrets
    assert [value for value in secrets if any(value in text for text in texts)] == []


def test_a_state_that_is_dropped_on_the_way_back_is_put_in_again(bed: Bed, tmp_path: Path) -> None:
    tried = try_it(bed, "f10", tmp_path, "--fix", "authz-resp-state-missing")
    assert tried.outcome.connected, tried.outcome.said
    assert "`state`: upstream said nothing, client saw" in tried.said
    (sentence,) = tried.report["deploy"]["requests"]
    assert "has to carry `state`" in sentence


def test_seed2_from_its_failure_to_the_lines_to_deploy_in_one_recording(bed: Bed, tmp_path: Path) -> None:
    file = tmp_path / "fixes.toml"
    given = ("--fix", f"prm-as-entry-is-endpoint={TENANT}")
    with started(bed.url("seed2"), *to_the_bed(bed), home=tmp_path) as tap:
        assert not run("claude-code", tap.url, env=bed.browser_env(), timeout=WAITS[False]).connected
        asked = call("fix", tap.session, "-o", file, *to_the_bed(bed), home=tmp_path)
        assert "WorkOS AuthKit has issuers like https://TENANT.authkit.app" in asked.stdout
        ran = call("fix", "--apply", tap.session, *given, *to_the_bed(bed), home=tmp_path)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        tap.wait_for("was read again")
        assert run("claude-code", tap.url, env=bed.browser_env(), timeout=WAITS[True]).connected
        sentence = f'before: stopped at as-discovery; with `authorization_servers` → ["{TENANT}"]: connected, '
        tap.wait_for(sentence)
        time.sleep(0.5)  # the summary follows; the sentence above was said while the tap ran
        assert tap.end() == 0
    first, second = tap.report["attempts"]
    assert (first["connected"], first["cause"]) == (False, "prm-as-entry-is-endpoint")
    assert second["connected"]
    assert second["good"] == second["steps"] > 8
    told = call("fix", tap.session, home=tmp_path).stdout
    assert "Raindrop manifest with WorkOS AuthKit" in told
    assert f'authorization_server = "{TENANT}"' in told
    change = [{"op": "replace", "path": "/authorization_servers/0", "value": TENANT}]
    assert f"as JSON Patch: {json.dumps(change)}" in told
