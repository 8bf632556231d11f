"""Which addresses are this computer's alone."""

import ipaddress


def parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as; None for a name. One of IPv4 in the form of IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Whether a host is this computer's own loopback, which no other one reaches."""
    address = parse_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
