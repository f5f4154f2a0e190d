"""Two recordings side by side, and one held against a lock."""
