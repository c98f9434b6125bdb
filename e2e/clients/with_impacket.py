#!/usr/bin/env python3
"""A session of the client library impacket against a share whose directory is DIR.

usage: SMB_PASSWORD=... with_impacket.py HOST PORT SHARE USER DIR

Prints what was done, "all well" at the end; an assertion that does not hold ends it.
"""
import io
import os
import sys

from impacket import smb3structs as smb3
from impacket.smbconnection import SessionError, SMBConnection

HOST, PORT, SHARE, USER, DIR = sys.argv[1:]
PORT = int(PORT)
PASSWORD = os.environ["SMB_PASSWORD"]
DIALECTS = (smb3.SMB2_DIALECT_002, smb3.SMB2_DIALECT_21, smb3.SMB2_DIALECT_30, smb3.SMB2_DIALECT_311)


def here(name):
    return os.path.join(DIR, name)


def connect(dialect=None):
    connection = SMBConnection(HOST, HOST, sess_port=PORT, preferredDialect=dialect)
    connection.login(USER, PASSWORD)
    return connection


def files(dialect):
    smb = connect(dialect)
    assert smb.getDialect() == dialect, hex(smb.getDialect())
    data = os.urandom(700_001)
    smb.createDirectory(SHARE, "dir")
    smb.putFile(SHARE, r"dir\in.bin", io.BytesIO(data).read)
    assert open(here("dir/in.bin"), "rb").read() == data
    back = io.BytesIO()
    smb.getFile(SHARE, r"dir\in.bin", back.write)
    assert back.getvalue() == data
    names = {entry.get_longname(): entry for entry in smb.listPath(SHARE, r"dir\*")}
    assert sorted(names) == [".", "..", "in.bin"] and names["in.bin"].get_filesize() == len(data)
    smb.rename(SHARE, r"dir\in.bin", r"dir\out.bin")
    assert os.listdir(here("dir")) == ["out.bin"]
    tree = smb.connectTree(SHARE)
    file = smb.openFile(tree, r"dir\out.bin")
    smb.writeFile(tree, file, b"twelve bytes", offset=5)
    assert smb.readFile(tree, file, offset=4, bytesToRead=14) == data[4:5] + b"twelve bytes" + data[17:18]
    smb.closeFile(tree, file)
    try:
        smb.deleteDirectory(SHARE, "dir")
        raise AssertionError("a full directory was removed")
    except SessionError as refused:
        assert "STATUS_DIRECTORY_NOT_EMPTY" in str(refused), refused
    smb.deleteFile(SHARE, r"dir\out.bin")
    smb.deleteDirectory(SHARE, "dir")
    assert os.listdir(DIR) == []
    smb.logoff()
    print("files, dialect", hex(dialect))


def shares_by_rpc():
    names = [share["shi1_netname"][:-1] for share in connect().listShares()]
    assert SHARE in names and "IPC$" in names, names
    print("shares by srvsvc")


def wrong_password():
    connection = SMBConnection(HOST, HOST, sess_port=PORT)
    try:
        connection.login(USER, PASSWORD + "x")
        raise AssertionError("a wrong password was taken")
    except SessionError as refused:
        assert "STATUS_LOGON_FAILURE" in str(refused), refused
    connection = SMBConnection(HOST, HOST, sess_port=PORT)
    try:
        connection.login("", "")
        connection.connectTree(SHARE)
        raise AssertionError("an anonymous user was let in")
    except SessionError:
        pass
    print("wrong and no passwords are refused")


for dialect in DIALECTS:
    files(dialect)
shares_by_rpc()
wrong_password()
print("all well")
