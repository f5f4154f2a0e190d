"""`server/discover`: the question with which clients of 2026-07-28 may begin."""
