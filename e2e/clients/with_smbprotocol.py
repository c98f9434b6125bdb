#!/usr/bin/env python3
"""A session of the client library smbprotocol against a share whose directory is DIR.

usage: SMB_PASSWORD=... with_smbprotocol.py HOST PORT SHARE USER DIR

Prints what was done, "all well" at the end; an assertion that does not hold ends it.
"""
import os
import sys
import uuid

import smbclient
from smbprotocol.change_notify import CompletionFilter, FileSystemWatcher
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SharingViolation, SMBResponseException
from smbprotocol.open import (
    CreateDisposition, CreateOptions, FilePipePrinterAccessMask, DirectoryAccessMask, FileAttributes,
    ImpersonationLevel, LockFlags, Open, ShareAccess, SMB2LockElement, SMB2LockRequest,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

HOST, PORT, SHARE, USER, DIR = sys.argv[1:]
PORT = int(PORT)
PASSWORD = os.environ["SMB_PASSWORD"]
ROOT = r"\\%s\%s" % (HOST, SHARE)


def here(name):
    return os.path.join(DIR, name)


def high_level():
    smbclient.register_session(HOST, USER, PASSWORD, port=PORT)
    path = ROOT + r"\one.bin"
    data = os.urandom(1_500_000)
    with smbclient.open_file(path, mode="wb", port=PORT) as f:
        f.write(data)
    assert open(here("one.bin"), "rb").read() == data
    with smbclient.open_file(path, mode="rb", port=PORT) as f:
        assert f.read() == data
        f.seek(1_000_003)
        assert f.read(17) == data[1_000_003:1_000_020]
    with smbclient.open_file(path, mode="r+b", port=PORT) as f:
        f.seek(100)
        f.write(b"patched")
    assert open(here("one.bin"), "rb").read()[98:109] == data[98:100] + b"patched" + data[107:109]
    smbclient.truncate(path, 1000, port=PORT)
    assert os.path.getsize(here("one.bin")) == 1000
    smbclient.utime(path, ns=(1_600_000_000_000_000_000, 1_500_000_000_123_456_700), port=PORT)
    assert os.stat(here("one.bin")).st_mtime_ns == 1_500_000_000_123_456_700
    stat = smbclient.stat(path, port=PORT)
    assert stat.st_mtime_ns == 1_500_000_000_123_456_700 and stat.st_size == 1000, stat
    smbclient.makedirs(ROOT + r"\d\e", port=PORT)
    smbclient.rename(path, ROOT + r"\d\e\two.bin", port=PORT)
    assert os.path.exists(here("d/e/two.bin")) and not os.path.exists(here("one.bin"))
    assert smbclient.listdir(ROOT + r"\d\e", port=PORT) == ["two.bin"]
    walked = [(top, dirs, files) for top, dirs, files in smbclient.walk(ROOT, port=PORT)]
    assert [names for _, _, names in walked if names] == [["two.bin"]], walked
    volume = smbclient.stat_volume(ROOT, port=PORT)
    assert volume.total_size >= volume.caller_available_size > 0, volume
    try:
        smbclient.rmdir(ROOT + r"\d", port=PORT)
        raise AssertionError("a full directory was removed")
    except OSError:
        pass
    smbclient.remove(ROOT + r"\d\e\two.bin", port=PORT)
    smbclient.removedirs(ROOT + r"\d\e", port=PORT)
    assert os.listdir(DIR) == []
    smbclient.reset_connection_cache()
    print("files, directories, times, volume")


def connect():
    connection = Connection(uuid.uuid4(), HOST, PORT)
    connection.connect()
    session = Session(connection, USER, PASSWORD)
    session.connect()
    tree = TreeConnect(session, ROOT)
    tree.connect()
    return connection, session, tree


def open_file(tree, name, disposition, share, options=CreateOptions.FILE_NON_DIRECTORY_FILE,
              access=FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE):
    file = Open(tree, name)
    file.create(ImpersonationLevel.Impersonation, access, FileAttributes.FILE_ATTRIBUTE_NORMAL, share,
                disposition, options)
    return file


def lock(file, offset, length, flags):
    element = SMB2LockElement()
    element["offset"] = offset
    element["length"] = length
    element["flags"] = flags
    request = SMB2LockRequest()
    request["file_id"] = file.file_id
    request["locks"] = [element]
    session = file.tree_connect.session
    sent = file.connection.send(request, session.session_id, file.tree_connect.tree_connect_id)
    file.connection.receive(sent)


def two_users_of_one_file():
    (_, _, one), (_, _, two) = connect(), connect()
    every = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
    mine = open_file(one, "shared", CreateDisposition.FILE_CREATE, every)
    yours = open_file(two, "shared", CreateDisposition.FILE_OPEN, every)
    exclusive = LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK | LockFlags.SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    mine.write(b"0123456789", 0)
    lock(mine, 2, 4, exclusive)
    try:
        lock(yours, 5, 1, exclusive)
        raise AssertionError("two exclusive locks on one byte")
    except SMBResponseException as refused:
        assert refused.status == 0xC0000055, refused          # STATUS_LOCK_NOT_GRANTED
    lock(yours, 6, 1, exclusive)
    try:
        yours.write(b"x", 3)
        raise AssertionError("a write into the other's lock")
    except SMBResponseException as refused:
        assert refused.status == 0xC0000054, refused          # STATUS_FILE_LOCK_CONFLICT
    assert yours.read(0, 2) == b"01"
    lock(mine, 2, 4, LockFlags.SMB2_LOCKFLAG_UNLOCK)
    yours.write(b"x", 3)
    assert mine.read(0, 6) == b"012x45"
    mine.close()
    try:
        open_file(one, "shared", CreateDisposition.FILE_OPEN, 0)
        raise AssertionError("an exclusive open beside another")
    except SharingViolation:
        pass
    yours.close()
    alone = open_file(one, "shared", CreateDisposition.FILE_OPEN, 0)
    try:
        open_file(two, "shared", CreateDisposition.FILE_OPEN, every)
        raise AssertionError("an open beside an exclusive one")
    except SharingViolation:
        pass
    alone.close()
    gone = open_file(one, "shared", CreateDisposition.FILE_OPEN, every,
                     CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_DELETE_ON_CLOSE,
                     FilePipePrinterAccessMask.DELETE | FilePipePrinterAccessMask.FILE_READ_DATA)
    gone.close()
    assert not os.path.exists(here("shared"))
    print("share modes, byte-range locks, delete on close")


def changes_are_told():
    _, _, tree = connect()
    every = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
    root = open_file(tree, "", CreateDisposition.FILE_OPEN, every, CreateOptions.FILE_DIRECTORY_FILE,
                     DirectoryAccessMask.FILE_LIST_DIRECTORY | DirectoryAccessMask.SYNCHRONIZE)
    for what, change in (
        ("through the share", lambda: open_file(tree, "told", CreateDisposition.FILE_CREATE, every).close()),
        ("in the directory itself", lambda: open(here("local"), "w").close()),
    ):
        watcher = FileSystemWatcher(root)
        watcher.start(CompletionFilter.FILE_NOTIFY_CHANGE_FILE_NAME)
        change()
        assert watcher.response_event.wait(10), "no notification of a change " + what
        names = [action["file_name"].get_value() for action in watcher.result]
        assert names and names[0] in ("told", "local"), names
    root.close()
    os.remove(here("told"))
    os.remove(here("local"))
    print("change notify")


high_level()
two_users_of_one_file()
changes_are_told()
print("all well")
