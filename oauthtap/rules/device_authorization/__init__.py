"""Device authorization: signing in on another device."""
