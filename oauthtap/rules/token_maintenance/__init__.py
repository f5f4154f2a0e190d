"""Looking tokens up and giving them back: introspection and revocation."""
