"""How long until the first 64 KiB of a file are here, by a client that shares no code with farshare.

usage: first_byte.py HOST PORT SHARE FILE   (SMB_USER and SMB_PASSWORD in the environment)
Prints one line of JSON: {"login_s": ..., "open_s": ..., "first_byte_s": ...}; the last two count from the
request to open.
"""
import json
import os
import sys
import time
import uuid

from smbprotocol.connection import Connection
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect


def main():
    host, port, share, name = sys.argv[1:]
    begun = time.monotonic()
    connection = Connection(uuid.uuid4(), host, int(port))
    connection.connect()
    session = Session(connection, os.environ["SMB_USER"], os.environ["SMB_PASSWORD"], require_encryption=False)
    session.connect()
    tree = TreeConnect(session, rf"\\{host}\{share}")
    tree.connect()
    asked = time.monotonic()
    file = Open(tree, name)
    file.create(
        ImpersonationLevel.Impersonation,
        FilePipePrinterAccessMask.GENERIC_READ,
        FileAttributes.FILE_ATTRIBUTE_NORMAL,
        ShareAccess.FILE_SHARE_READ,
        CreateDisposition.FILE_OPEN,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )
    opened = time.monotonic()
    data = file.read(0, 65536)
    read = time.monotonic()
    assert len(data) == 65536, len(data)
    file.close()
    connection.disconnect()
    print(json.dumps({"login_s": asked - begun, "open_s": opened - asked, "first_byte_s": read - asked}))


main()
