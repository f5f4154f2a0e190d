"""Metadata of the authorization server: where it is looked for, and what it has to say."""
