"""Pushed authorization requests: the parameters go ahead, the browser carries a reference."""
