"""Key sets: the public keys with which tokens are checked."""
