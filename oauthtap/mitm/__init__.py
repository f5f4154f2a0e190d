"""Everything that knows mitmproxy."""

from oauthtap.mitm.sparing import spare

spare()  # before any module here imports one of mitmproxy's addons
