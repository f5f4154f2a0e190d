"""The code exchange: a code, a verifier and an identity go in, an access token comes out."""
