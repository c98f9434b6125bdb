"""Waits until something changes in a directory of a CIFS mount (CIFS_IOC_NOTIFY, fs/smb/client/cifs_ioctl.h)."""
import fcntl
import os
import struct
import sys

NAMES_AND_SIZES = 0x1 | 0x2 | 0x8
# struct smb3_notify { __u32 completion_filter; bool watch_tree; } __packed, _IOW(0xCF, 9, ...)
CIFS_IOC_NOTIFY = (1 << 30) | (5 << 16) | (0xCF << 8) | 9
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), CIFS_IOC_NOTIFY, struct.pack("=IB", NAMES_AND_SIZES, 0))
