"""The tap in a mitmproxy of your own.

    mitmweb -s addons/tap.py --set tap_upstream=https://mcp.example.com/mcp

It needs oauthtap in mitmproxy's own environment. Give the client the URL it prints.
`oauthtap --upstream` does the same with a session folder, and saves no secrets.
"""

from __future__ import annotations

from oauthtap.proxy.script import ScriptAddon

addons = [ScriptAddon()]
