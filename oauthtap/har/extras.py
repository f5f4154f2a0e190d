"""What our own HARs say in `_oauthtap`, because the format has no place for it."""

EXTRAS = ("id", "at", "took", "connection", "injected")
"""Members of an exchange that stand there as they are."""

PATCHED = ("shown", "sent", "patched_by", "fixes", "excerpt", "role")
"""Members that stand there only where a fix was at work, or a log is where it comes from."""
