#!/usr/bin/env python3
"""Asks the cable at ADDRESS who serves SMB, or another SERVICE, by multicast DNS, and prints the answers.

usage: mdns_query.py ADDRESS SECONDS [SERVICE]

A line for each record that was answered: its kind and what it says. Ends when the service and an address were.
"""
import socket
import struct
import sys
import time

ADDRESS, SECONDS = sys.argv[1], float(sys.argv[2])
SERVICE = sys.argv[3] if len(sys.argv) > 3 else "_smb._tcp.local"
GROUP, PORT = "224.0.0.251", 5353
A, PTR, TXT, SRV = 1, 12, 16, 33


def name(text):
    return b"".join(bytes([len(part)]) + part for part in text.encode().split(b".")) + b"\0"


def read_name(data, at):
    parts, end = [], None
    while data[at]:
        if data[at] >= 0xC0:
            end = end or at + 2
            at = (data[at] & 0x3F) << 8 | data[at + 1]
            continue
        parts.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(parts), end or at + 1


def records(data):
    _, flags, questions, *counts = struct.unpack(">6H", data[:12])
    if not flags & 0x8000:
        return
    at = 12
    for _ in range(questions):
        at = read_name(data, at)[1] + 4
    for _ in range(sum(counts)):
        owner, at = read_name(data, at)
        kind, _, _, length = struct.unpack(">HHIH", data[at:at + 10])
        at += 10
        body = data[at:at + length]
        if kind == PTR:
            yield "PTR", owner, read_name(data, at)[0]
        elif kind == SRV:
            yield "SRV", owner, "%d %s" % (struct.unpack(">H", body[4:6])[0], read_name(data, at + 6)[0])
        elif kind == A:
            yield "A", owner, socket.inet_ntoa(body)
        elif kind == TXT:
            yield "TXT", owner, body[1:].decode()
        at += length


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("", PORT))
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(ADDRESS))
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ADDRESS))
sock.settimeout(0.5)
until, seen = time.time() + SECONDS, set()
while time.time() < until:
    # Others are announced too, unasked.
    if {"PTR", "SRV", "TXT", "A"} <= {record[0] for record in seen if record[0] == "A" or record[1].endswith(SERVICE)}:
        break
    question = struct.pack(">6H", 0, 0, 1, 0, 0, 0) + name(SERVICE) + struct.pack(">HH", PTR, 1)
    sock.sendto(question, (GROUP, PORT))
    try:
        seen.update(records(sock.recv(9000)))
    except socket.timeout:
        continue
for record in sorted(seen):
    print(*record)
