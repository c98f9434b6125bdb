"""Concurrent writers of one SQLite database, and the judge of what they left (sqlite.sh)."""
import contextlib
import os
import sqlite3
import sys
import time


def connect(path):
    return sqlite3.connect(path, timeout=100, isolation_level=None)


@contextlib.contextmanager
def turn(path):
    """A directory is the lock of a database that two mounts share: the server makes it exactly once."""
    until = time.monotonic() + 100
    while True:
        try:
            os.mkdir(path + ".lock")
            break
        except FileExistsError:
            assert time.monotonic() < until, "no turn for 100 s"
            time.sleep(0.02)
    try:
        yield
    finally:
        os.rmdir(path + ".lock")


def make(path):
    db = connect(path)
    db.execute("create table rows(writer integer, n integer, pad blob)")
    db.execute("create table counter(n integer)")
    db.execute("insert into counter values (0)")


def one_more(db, writer, n):
    db.execute("begin immediate")
    db.execute("insert into rows values (?, ?, randomblob(300))", (int(writer), n))
    # Read and written back: an update that is lost shows.
    (so_far,) = db.execute("select n from counter").fetchone()
    db.execute("update counter set n = ?", (so_far + 1,))
    db.execute("commit")


def write(path, writer, count):
    """All who write are on one mount: SQLite's own locks part them."""
    db = connect(path)
    for n in range(int(count)):
        one_more(db, writer, n)


def take_turns(path, writer, count):
    """They are on different mounts: each opens the file anew for its turn, and must see what the last one wrote."""
    for n in range(int(count)):
        with turn(path):
            db = connect(path)
            one_more(db, writer, n)
            db.close()


def judge(path, total):
    db = connect(path)
    said = db.execute("pragma integrity_check").fetchall()
    assert said == [("ok",)], said
    (rows,) = db.execute("select count(*) from rows").fetchone()
    (single,) = db.execute("select count(*) from (select distinct writer, n from rows)").fetchone()
    (counter,) = db.execute("select n from counter").fetchone()
    assert rows == single == counter == int(total), f"{rows} rows, {single} different, counter {counter}, not {total}"


{"make": make, "write": write, "take_turns": take_turns, "judge": judge}[sys.argv[1]](*sys.argv[2:])
