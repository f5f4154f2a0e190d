"""Permission checks of browsers, before a script may send its request."""
