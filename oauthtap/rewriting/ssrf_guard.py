"""Which upstream origins a document may make us open a port for.

A document comes from somebody else's server. Without this a server could have us fetch what
only this machine can reach: its cloud's metadata service, its router, its databases.
"""

from __future__ import annotations

import ipaddress

from oauthtap.model import urls

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA_NAMES = {
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
}
_METADATA_ADDRESSES = {
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
}


def blocked_reason(url: str, *, private: bool) -> str | None:
    """Why no port may be opened for the origin of this URL; None when it may.

    `private`: loopback and private addresses are fine, because the upstream itself is
    there or the user said so. Link-local and metadata services never are.
    """
    parts = urls.split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "it is no http or https origin"
    host = parts.hostname.rstrip(".")
    if host in _METADATA_NAMES:
        return "it is the metadata service of a cloud"
    address = parse_ip(host)
    if address is not None:
        return address_refusal(address, private=private)
    if not private and _names_this_network(host):
        return f"{host} is on this machine or this network, and the upstream is not (--allow-private allows it)"
    return None


def address_refusal(address: Address, *, private: bool) -> str | None:
    """The same for an address, as written or as a name resolved to it."""
    address = _unwrapped(address)
    if address in _METADATA_ADDRESSES:
        return f"{address} is the metadata service of a cloud"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return f"{address} is an address without a server"
    if not private and is_private(address):
        return f"{address} is on this machine or this network, and the upstream is not (--allow-private allows it)"
    return None


def is_private(address: Address) -> bool:
    """The address means something else on every network."""
    return not _unwrapped(address).is_global


def is_private_host(host: str) -> bool:
    """The host of an upstream is on this machine or network by its own name (nothing is resolved)."""
    address = parse_ip(host)
    return is_private(address) if address else _names_this_network(host)


def parse_ip(host: str) -> Address | None:
    """The address that a host name is, also in the odd spellings that resolvers take (`127.1`, `0x7f000001`)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return _odd_literal(host)


def _odd_literal(host: str) -> Address | None:
    """`inet_aton` takes one to four numbers, decimal, octal or hexadecimal; the last fills what is left."""
    pieces = host.split(".")
    try:
        numbers = [int(piece, _radix(piece)) for piece in pieces]
    except ValueError:
        return None
    *front, last = numbers
    if len(pieces) > 4 or any(not 0 <= number < 256 for number in front) or not 0 <= last < 256 ** (5 - len(pieces)):
        return None
    return ipaddress.IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(front)) + last)


def _radix(piece: str) -> int:
    if piece[:2].lower() == "0x":
        return 16
    return 8 if len(piece) > 1 and piece[0] == "0" else 10


def _names_this_network(host: str) -> bool:
    host = host.lower().rstrip(".")
    return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet"))


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (`::ffff:127.0.0.1`, NAT64)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
