#!/usr/bin/env python3
"""Is everything that the ticket asks for inside our own subnets?

SecureChange scripted condition: true exactly when every source and every destination of every access request lies
inside SUBNETS. Whatever cannot be placed (ANY, Internet, a firewall object, a ticket without access requests) is false.

argv[1]    the ticket's id, or `test` for the Test button
stdin      the ticket XML. It holds no addresses: they are read from the REST API of SecureChange
settings   condition-by-subnet.yaml; SC_USER needs to be allowed to view the ticket, and nothing more
exit code  0 with an answer on stdout; 1 with none, when the question could not be answered
"""

import base64
import http.client
import ipaddress
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

SIDES = {"both": ("sources", "destinations"), "sources": ("sources",), "destinations": ("destinations",)}


def main():
    stdin = sys.stdin.buffer.read()
    argument = sys.argv[1].strip() if len(sys.argv) > 1 else ""
    try:
        if argument == "test" or stdin.strip() == b"<ticket_info/>":
            answer(False)  # the Test button: there is no ticket to ask for
        else:
            answer(decide(fetch_ticket(ticket_id(argument, stdin))))
        return 0
    except (ValueError, OSError, http.client.HTTPException) as error:
        print("condition-by-subnet: {}".format(error), file=sys.stderr)
        return 1


def answer(result):
    print("<response><condition_result>{}</condition_result></response>".format("true" if result else "false"))


def ticket_id(argument, stdin):
    """The id from the argument, else from the ticket XML."""
    if not argument:
        try:
            argument = (ElementTree.fromstring(declare_xsi(stdin)).findtext("id") or "").strip()
        except ElementTree.ParseError as error:
            raise ValueError("no ticket id as the argument, and stdin is not a ticket XML: {}".format(error))
    if not re.fullmatch(r"[0-9]+", argument):
        raise ValueError("{!r} is not the id of a ticket".format(argument))
    return argument


def declare_xsi(data):
    """SecureChange may use the prefix xsi without declaring it, which Python refuses."""
    if b"xmlns:xsi" in data:
        return data
    return data.replace(b"<ticket_info", b'<ticket_info xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', 1)


def fetch_ticket(number):
    """The ticket as the REST API gives it. Asked for as XML: its JSON has one shape for one item and another for two."""
    base = setting("SC_URL").rstrip("/")
    parts = urllib.parse.urlsplit(base)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("SC_URL must begin with https://, or the password would cross the network readable")
    url = "{}/securechangeworkflow/api/securechange/tickets/{}".format(base, number)
    request = urllib.request.Request(url, headers={"Accept": "application/xml"})
    login = os.fsencode("{}:{}".format(setting("SC_USER"), setting("SC_PASSWORD")))  # the bytes as they came, in any locale
    # "unredirected": were we sent to another server, it would not get the password
    request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login).decode("ascii"))
    # Verifies certificate and name, against the system's CAs and, if it is set, the CA in the file SC_CA
    tls = ssl.create_default_context()
    if os.environ.get("SC_CA"):
        tls.load_verify_locations(os.environ["SC_CA"])
    try:
        with urllib.request.urlopen(request, timeout=20, context=tls) as response:
            ticket = ElementTree.fromstring(response.read())
    except urllib.error.HTTPError as error:
        raise OSError("ticket {}: SecureChange answered {} {}".format(number, error.code, error.reason))
    except urllib.error.URLError as error:
        raise OSError("cannot reach {}: {}".format(base, error.reason))
    except ElementTree.ParseError as error:
        raise ValueError("ticket {}: the answer of {} is not XML: {}".format(number, base, error))
    if ticket.tag != "ticket":  # for instance a login page
        raise ValueError("ticket {}: {} answered with <{}> instead of a ticket".format(number, base, ticket.tag))
    return ticket


def setting(name):
    value = os.environ.get(name)
    if not value:
        raise ValueError("{} is not set: see condition-by-subnet.yaml".format(name))
    return value


def decide(ticket):
    subnets = [ipaddress.ip_network(item) for item in setting("SUBNETS").replace(",", " ").split()]
    side = os.environ.get("SIDE") or "both"
    if side not in SIDES:
        raise ValueError("SIDE is {!r}: it can be {}".format(side, ", ".join(sorted(SIDES))))
    requests = current_requests(ticket)
    return bool(requests) and all(inside(request.find(name), subnets) for request in requests for name in SIDES[side])


def current_requests(ticket):
    """Every step keeps a copy of the access requests as they were then; the last step that has any is how they are now."""
    for step in reversed(ticket.findall("steps/step")):
        requests = list(step.iter("access_request"))
        if requests:
            return requests
    return []


def inside(endpoints, subnets):
    """Whether there are endpoints (the <source>s of <sources>), and each of them is a part of one of the subnets."""
    if endpoints is None or len(endpoints) == 0:
        return False
    return all(placed(endpoint, subnets) for endpoint in endpoints)


def placed(endpoint, subnets):
    networks = addresses(endpoint)
    return bool(networks) and all(any(part_of(network, subnet) for subnet in subnets) for network in networks)


def part_of(network, subnet):
    """network.subnet_of(subnet), for Python 3.6 as well, and for IPv4 beside IPv6."""
    return network.version == subnet.version and network[0] in subnet and network[-1] in subnet


def addresses(endpoint):
    """The networks behind an IP, RANGE or DNS endpoint; none for all other types, which have no address of their own."""
    first, last = endpoint.findtext("range_first_ip"), endpoint.findtext("range_last_ip")
    if first and last:
        return list(ipaddress.summarize_address_range(ipaddress.ip_address(first), ipaddress.ip_address(last)))
    mask = endpoint.findtext("cidr") or endpoint.findtext("netmask")
    found = [element.text for element in endpoint.iter("ip_address") if element.text]
    return [ipaddress.ip_network(address + ("/" + mask if mask else ""), strict=False) for address in found]


if __name__ == "__main__":
    sys.exit(main())
