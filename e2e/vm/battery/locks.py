"""One case of byte-range locking between two paths to one file (locks.sh). Exit status 0 when it holds."""
import errno
import fcntl
import os
import signal
import sys
import time

EX, SH, UN, NOW = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN, fcntl.LOCK_NB
PATIENCE = 15


def locked(file, how, length, start):
    """Whether the lock was had at once."""
    try:
        fcntl.lockf(file, how | NOW, length, start)
        return True
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EACCES), error
        return False


def excludes(a, b):
    assert locked(a, EX, 100, 0)
    assert not locked(b, EX, 100, 50), "an overlapping exclusive lock was given twice"
    assert not locked(b, SH, 1, 99), "a shared lock was given inside an exclusive one"


def beside(a, b):
    assert locked(a, EX, 100, 0)
    assert locked(b, EX, 100, 100), "the lock beside it was refused"


def shares(a, b):
    assert locked(a, SH, 100, 300) and locked(b, SH, 100, 300), "shared locks exclude each other"
    assert not locked(b, EX, 10, 310), "exclusive over another's shared lock"


def releases(a, b):
    assert locked(a, EX, 100, 0)
    fcntl.lockf(a, UN, 100, 0)
    assert locked(b, EX, 100, 0), "the lock was not released"


def whole_file(a, b):
    fcntl.flock(a, EX)
    try:
        fcntl.flock(b, EX | NOW)
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EACCES), error
    else:
        raise AssertionError("flock was given twice")
    fcntl.flock(a, UN)
    fcntl.flock(b, EX | NOW)


def far_offsets(a, b):
    assert locked(a, EX, 10, 1 << 62)
    assert not locked(b, EX, 10, (1 << 62) + 5), "far beyond the end there is no lock"
    fcntl.lockf(a, UN, 10, 1 << 62)
    assert locked(a, EX, 0, 1 << 40), "to the end of the file"
    assert not locked(b, EX, 1, 1 << 50), "a lock to the end ends early"


def many(a, b):
    for n in range(300):
        assert locked(a, EX, 10, n * 20), n
    assert not locked(b, EX, 1, 299 * 20)
    assert locked(b, EX, 10, 150 * 20 + 10), "a gap counts as locked"
    fcntl.lockf(b, UN, 0, 0)
    fcntl.lockf(a, UN, 0, 0)
    assert locked(b, EX, 0, 0), "not all of 300 locks were released by one unlock"


def started(work):
    """A child that does `work`; it has begun when this returns."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(told, b"x")
        work()
        os._exit(0)
    os.read(ready, 1)
    return pid


def ended(pid):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return False


def waits(a, b):
    assert locked(a, EX, 100, 0)
    path = b.name
    begun = time.monotonic()
    pid = started(lambda: fcntl.lockf(open(path, "r+b"), EX, 100, 0))
    time.sleep(1.5)
    assert os.waitpid(pid, os.WNOHANG)[0] == 0, "a waiting lock was given while it is held"
    fcntl.lockf(a, UN, 100, 0)
    assert ended(pid), "who waited was never told"
    assert time.monotonic() - begun < 8, "who waited was told late"


def dies(a, b):
    path = a.name

    def hold():
        file = open(path, "r+b")
        fcntl.lockf(file, EX, 100, 0)
        time.sleep(PATIENCE)

    pid = started(hold)
    until = time.monotonic() + 5
    while locked(b, EX, 100, 0) and time.monotonic() < until:
        fcntl.lockf(b, UN, 100, 0)
        time.sleep(0.02)
    assert not locked(b, EX, 100, 0), "the child's lock is not there"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until = time.monotonic() + 5
    while not locked(b, EX, 100, 0):
        assert time.monotonic() < until, "a dead process keeps its lock"
        time.sleep(0.02)


def mandatory(a, b):
    """SMB locks bind readers and writers too (MS-FSA 2.1.4.10)."""
    assert locked(a, EX, 4096, 8192)
    other = os.open(b.name, os.O_RDWR | os.O_DIRECT)
    import mmap
    page = mmap.mmap(-1, 4096)
    try:
        os.preadv(other, [page], 8192)
    except OSError as error:
        assert error.errno == errno.EACCES, error
    else:
        raise AssertionError("a read went through another's exclusive lock")
    assert os.preadv(other, [page], 16384) == 4096, "a read beside the lock"
    os.close(other)


with open(sys.argv[2], "r+b", 0) as first, open(sys.argv[3], "r+b", 0) as second:
    try:
        globals()[sys.argv[1]](first, second)
    except AssertionError as why:
        print(str(why) or "a lock that nobody holds was refused")
        sys.exit(1)
