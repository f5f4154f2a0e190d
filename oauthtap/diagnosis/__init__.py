"""The engine: exchanges in, findings out. It does no I/O, and knows no proxy, no fix and no report."""
