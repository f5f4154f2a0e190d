"""The pages between: login, consent, and the redirects by which the authorization server leads through them."""
