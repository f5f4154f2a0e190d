"""What our own HARs say in `_oauthtap`, because the format has no place for it."""

EXTRAS = ("id", "at", "took", "connection", "injected")
"""Members of an exchange that stand there as they are."""
