"""A command that is printed works when it is pasted into the same shell: it has the flags that it needs."""

from __future__ import annotations

import shlex

import pytest

from oauthtap.cli.options import again
from oauthtap.cli.options.again import invocation
from oauthtap.cli.parser import parser, with_upstream

URL = "https://mcp.example.com/mcp"
REACH = ["--ca", "my ca.pem", "--connect-to", ":443:127.0.0.1:1", "--connect-to", ":80:127.0.0.1:2"]
STARTED = {
    "tap": [URL, *REACH, "--insecure", "--allow-private", "--rules", "mine.py"],
    "drive": [
        "drive",
        "claude-code",
        "--upstream",
        URL,
        *REACH,
        "--grant",
        "mcp.grant",
        "--client-version",
        "2.1.330",
        "--transport",
        "http",
    ],
    "fix": ["fix", "SESSION", *REACH],
    "probe": ["probe", URL, *REACH, "--rules", "mine.py", "--grant", "mcp.grant"],
    "run": ["run", *REACH, "--rules", "mine.py", "--", "claude", "mcp", "list"],
    "solve": ["solve", "claude-code", "--upstream", URL, *REACH],
}
REACHES = {"ca", "connect_to", "insecure"}
RUNS = REACHES | {"allow_private", "rules"}
NEEDS = {
    "--upstream": RUNS, "solve": RUNS | {"client_version", "grant", "transport"}, "fix": REACHES,
    "probe": REACHES | {"rules"},
    "run": REACHES | {"rules"}, "check": {"rules"}, "explain": {"rules"}, "verify": set(),
}  # fmt: skip
"""What each command has to be given again. The tap's flags have a default in the namespace of every command."""
PRINTED = (
    f"oauthtap --upstream {URL} --fix drop-resource",
    f"oauthtap solve claude-code --upstream {URL}",
    f"oauthtap probe {URL} --login",
    "oauthtap fix --apply SESSION",
    "oauthtap run -- COMMAND",
    "oauthtap check SESSION -v",
    "oauthtap explain prm-resource-missing",
    "oauthtap verify SESSION",
)


@pytest.mark.parametrize("words", STARTED.values(), ids=STARTED)
@pytest.mark.parametrize("printed", PRINTED, ids=[text.split()[1] for text in PRINTED])
def test_a_printed_command_has_the_flags_that_it_needs(printed: str, words: list[str]) -> None:
    first = parser().read(with_upstream(words))
    typed = shlex.split(invocation(first).command(printed))
    assert typed[0] == "oauthtap"
    second = parser().read(with_upstream(typed[1:]))  # exits where a flag is none of that command's
    for name in NEEDS[printed.split()[1]]:
        if hasattr(first, name):
            assert getattr(second, name) == getattr(first, name), name
    if getattr(second, "words", None):
        assert second.words[-1] == "COMMAND"


def test_after_drive_the_same_client_tries_the_change() -> None:
    first = parser().read(STARTED["drive"])
    typed = shlex.split(invocation(first).command(PRINTED[0]))
    assert typed[:5] == ["oauthtap", "drive", "claude-code", "--upstream", URL]


def test_behind_a_tunnel_the_change_is_tried_behind_it() -> None:
    first = parser().read(["--upstream", URL, "--public-url", "https://t.example", "--port", "8500"])
    second = parser().read(shlex.split(invocation(first).command(PRINTED[0]))[1:])
    assert (second.public_url, second.port) == (["https://t.example"], 8500)


@pytest.mark.parametrize(
    ("parent", "typed"),
    [
        (["/x/bin/uv", "run", "-q", "oauthtap", "--upstream", URL], "uv run -q oauthtap"),
        (["/x/uv", "tool", "uvx", "--from", "git+https://a.example/b c", "oauthtap", "--upstream", URL],
         "uvx --from 'git+https://a.example/b c' oauthtap"),
        (["uv", "run", "pytest", "--upstream", URL], "oauthtap"),
        (["bash"], "oauthtap"),
    ],
)  # fmt: skip
def test_a_command_begins_as_this_one_did(parent: list[str], typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again.program() == "oauthtap"
    monkeypatch.setenv("UV", "/x/bin/uv")
    monkeypatch.setattr("psutil.Process.cmdline", lambda _: parent)
    monkeypatch.setattr("sys.argv", ["oauthtap", "--upstream", URL])
    made = invocation(parser().read(["--upstream", URL])).command(PRINTED[5])
    assert made == f"{typed} check SESSION -v"
