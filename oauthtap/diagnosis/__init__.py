"""The engine: exchanges in; findings, refusals and causes out. No I/O, and no proxy, fix or report is known to it."""
