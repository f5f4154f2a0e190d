"""A rule of your own, loaded beside those of oauthtap.

    oauthtap --upstream https://mcp.example.com/mcp --rules addons/house_rules.py
    oauthtap check capture.har --rules addons/house_rules.py
    mitmweb -s addons/house_rules.py -s addons/tap.py --set tap_upstream=https://mcp.example.com/mcp

Copy it, rename the function, and let the docstring say what is wrong, why it matters
in your house, and what to change. The examples below it are tested like any other
rule's once you add your file to a test (see `tests/cli/test_house_rules.py`).
"""

from __future__ import annotations

from oauthtap.api import Handshake, Problem, Problems, TokenRequest, practice, rule

LONGEST = 3600


@rule(
    "house-token-lives-too-long",
    practice("House rule 7: access tokens live an hour at most", "https://wiki.example.com/security#tokens"),
    who="authorization-server",
    severity="warning",
)
def token_lives_too_long(token: TokenRequest, so_far: Handshake) -> Problems:
    """The access token lives longer than an hour.

    A token that leaks works until it expires, and nobody revokes tokens here.

    Usual causes: the default of the authorization server was never changed.

    Repair: Set the lifetime of access tokens to 3600 seconds, and let clients refresh.

    Bad:
        POST https://mcp.example.com/token grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA
        200 {"access_token": "mF_9.B5f-4.1JqM", "token_type": "Bearer", "expires_in": 86400}

    Good:
        POST https://mcp.example.com/token grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA
        200 {"access_token": "mF_9.B5f-4.1JqM", "token_type": "Bearer", "expires_in": 3600}
    """
    seconds = token.issued.get("expires_in")
    if isinstance(seconds, int) and seconds > LONGEST:
        yield Problem(
            message=f"`expires_in` is {seconds}; it has to be {LONGEST} at most",
            at="response.json.expires_in",
            expected=f"at most {LONGEST}",
            actual=str(seconds),
        )
