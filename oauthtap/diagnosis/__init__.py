"""The engine: exchanges in; findings, refusals and causes out."""
