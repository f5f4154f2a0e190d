"""What Windows has not got, taken away: the commands that need none of it work, the others refuse with a sentence.

It is not Windows; it finds the import, the attribute and the signal handler that are missing there.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.running import LIMIT, environment
from tests.support.tapped import free_port

ROOT = Path(__file__).parents[2]
WITHOUT = """
import asyncio, importlib.abc, os, platform, signal, subprocess, sys, sysconfig, tempfile, uuid, webbrowser
import httpx, mitmproxy.addons, mitmproxy.master, mitmproxy.net.local_ip, platformdirs, psutil, rich.console
import tornado.web

sysconfig.get_config_vars()

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}")

MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for module, names in {
    os: "fork forkpty getegid geteuid getgid getpgid getpgrp getuid killpg mkfifo openpty setsid tcgetpgrp "
        "O_NOFOLLOW O_NONBLOCK",
    signal: "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

def refuse(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = refuse
sys.platform = "win32"
from oauthtap.cli import main
for line in sys.argv[1:]:
    code = main(line.split())
    print(f"exit {code} of {line}", file=sys.stderr)
sys.exit(code)
"""


def command(*lines: str) -> list[str]:
    return [sys.executable, "-c", WITHOUT, *lines]


RECORDING = "tests/recordings/corpus/001-as-endpoint-url-in-prm.har"
COMMANDS = {
    f"check {RECORDING}": (1, "Cause    `authorization_servers`"),
    "explain prm-resource-missing": (0, "What to change:"),
    f"solve {RECORDING} --offline": (3, "issuer"),
    "probe http://127.0.0.1:9/mcp": (1, "✗ "),
    "run -- claude": (2, "run needs Linux or macOS. Try: oauthtap --upstream"),
    "drive claude-code --upstream https://a.example/mcp": (2, "drive needs Linux or macOS. Try: oauthtap --upstream"),
}


def test_each_command_works_or_refuses(tmp_path: Path) -> None:
    ran = subprocess.run(
        command(*COMMANDS), env=environment(tmp_path), cwd=ROOT, text=True, timeout=LIMIT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert "Traceback" not in ran.stdout
    for line, (code, said) in COMMANDS.items():
        assert f"exit {code} of {line}" in ran.stdout
        assert said in ran.stdout


def test_ctrl_c_ends_the_tap_with_its_summary(tmp_path: Path) -> None:
    line = (
        f"--upstream http://127.0.0.1:9/mcp --no-web --no-preflight --port {free_port()} --session {tmp_path}/session"
    )
    tap = subprocess.Popen(
        command(line), env=environment(tmp_path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert tap.stdout
    said = ""
    until = time.monotonic() + LIMIT
    while "Ctrl-C ends it" not in said and tap.poll() is None and time.monotonic() < until:
        said += tap.stdout.readline()
    tap.send_signal(signal.SIGINT)
    said += tap.communicate(timeout=LIMIT)[0]
    assert "✗ Nothing arrived" in said
    assert tap.returncode == 3
    assert (tmp_path / "session" / "report.json").exists()
