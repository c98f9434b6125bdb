#!/usr/bin/env python3
"""Looks for computers as Windows Explorer does: a Probe to all, a Resolve of who answers, its metadata by HTTP.

usage: ws_discovery.py ADDRESS SECONDS

Sends from ADDRESS and waits so long for an answer; prints what was learnt, and nothing when nobody answers.
"""
import re
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid

ADDRESS, SECONDS = sys.argv[1], float(sys.argv[2])
GROUP = ("239.255.255.250", 3702)
WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
MESSAGE = """<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" \
xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="{wsd}" \
xmlns:p="http://schemas.xmlsoap.org/ws/2006/02/devprof"><e:Header><a:To>{to}</a:To><a:Action>{action}</a:Action>\
<a:MessageID>{id}</a:MessageID></e:Header><e:Body>{body}</e:Body></e:Envelope>"""


def message(action, body, to="urn:schemas-xmlsoap-org:ws:2005:04:discovery"):
    name = f"urn:uuid:{uuid.uuid4()}"
    return name, MESSAGE.format(wsd=WSD, to=to, action=action, id=name, body=body).encode()


def element(name, text):
    found = re.search(rf"<[a-z]+:{name}>([^<]*)</", text)
    return found.group(1) if found else None


def answer(sock, action, body, sent=1):
    """The first answer to a message that is sent so often, how many there were, and how long it took."""
    name, data = message(f"{WSD}/{action}", body)
    begun = time.monotonic()
    for _ in range(sent):
        sock.sendto(data, GROUP)
    first, count, waited = None, 0, None
    while (left := begun + SECONDS - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            text = sock.recv(65536).decode()
        except TimeoutError:
            break
        assert element("RelatesTo", text) == name, text
        first = first or text
        waited = waited or time.monotonic() - begun
        count += 1
    return first, count, waited


def metadata(url, endpoint, to):
    request = urllib.request.Request(url, data=message("http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", "", to)[1])
    request.add_header("Content-Type", "application/soap+xml")
    return urllib.request.urlopen(request, timeout=SECONDS).read().decode()


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((ADDRESS, 0))
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ADDRESS))
probe = "<d:Probe><d:Types>p:Device</d:Types></d:Probe>"
match, count, waited = answer(sock, "Probe", probe, sent=3)
if match is None:
    sys.exit()
endpoint, url = element("Address", match), element("XAddrs", match)
print("probe:", element("Types", match), endpoint, url)
print("one answer, sent twice" if count == 2 else f"{count} answers")
print("in time" if waited < 1 else f"after {waited} s")
other, _, _ = answer(sock, "Probe", probe.replace("p:Device", "p:Printer"))
print("no printer" if other is None else f"a printer: {other}")
of = "<d:Resolve><a:EndpointReference><a:Address>{}</a:Address></a:EndpointReference></d:Resolve>"
resolved, _, _ = answer(sock, "Resolve", of.format(endpoint))
print("resolve:", element("XAddrs", resolved) if resolved else None)
other, _, _ = answer(sock, "Resolve", of.format(f"urn:uuid:{uuid.uuid4()}"))
print("nobody else" if other is None else f"somebody else: {other}")
print("computer:", element("Computer", metadata(url, endpoint, endpoint)))
try:
    metadata(url, endpoint, "urn:uuid:other")
    print("another one's metadata too")
except urllib.error.HTTPError as error:
    print("another one's metadata:", error.code)
