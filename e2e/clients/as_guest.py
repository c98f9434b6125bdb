#!/usr/bin/env python3
"""A stranger's sessions, by impacket and smbprotocol: SHARE admits guests, CLOSED does not.

usage: as_guest.py HOST PORT SHARE CLOSED

Prints what was done, "all well" at the end; an assertion that does not hold ends it.
"""
import io
import sys
import uuid

from impacket import smb3structs as smb3
from impacket.smbconnection import SessionError, SMBConnection
from smbprotocol.connection import Connection
from smbprotocol.exceptions import AccessDenied
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

HOST, PORT, SHARE, CLOSED = sys.argv[1:]
PORT = int(PORT)
# In 3.1.1 impacket signs a guest's requests, by a key that no server has.
DIALECTS = (smb3.SMB2_DIALECT_002, smb3.SMB2_DIALECT_21, smb3.SMB2_DIALECT_30)


def by_impacket(dialect, user, password):
    smb = SMBConnection(HOST, HOST, sess_port=PORT, preferredDialect=dialect)
    smb.login(user, password)
    assert bool(smb.isGuestSession()) == bool(user), "who gives no name is nobody"
    assert {SHARE, CLOSED, "IPC$"} <= {share["shi1_netname"][:-1] for share in smb.listShares()}
    smb.putFile(SHARE, "of a guest", io.BytesIO(b"content").read)
    back = io.BytesIO()
    smb.getFile(SHARE, "of a guest", back.write)
    assert back.getvalue() == b"content"
    smb.deleteFile(SHARE, "of a guest")
    try:
        smb.connectTree(CLOSED)
        raise AssertionError("a guest was let in")
    except SessionError as refused:
        assert "STATUS_ACCESS_DENIED" in str(refused), refused
    smb.logoff()


def by_smbprotocol(user, password):
    connection = Connection(uuid.uuid4(), HOST, PORT, require_signing=False)
    connection.connect()
    session = Session(connection, user, password, require_encryption=False, auth_protocol="ntlm")
    session.connect()
    tree = TreeConnect(session, rf"\\{HOST}\{SHARE}")
    tree.connect(require_secure_negotiate=False)
    try:
        TreeConnect(session, rf"\\{HOST}\{CLOSED}").connect(require_secure_negotiate=False)
        raise AssertionError("a guest was let in")
    except AccessDenied:
        pass
    tree.disconnect()
    connection.disconnect()


for dialect in DIALECTS:
    for user, password in (("stranger", "whatever"), ("Guest", ""), ("", "")):
        by_impacket(dialect, user, password)
for user, password in (("stranger", "whatever"), ("Guest", "")):
    by_smbprotocol(user, password)
print("all well")
