"""Concurrent writers of one SQLite database, and the judge of what they left (sqlite.sh)."""
import sqlite3
import sys


def connect(path):
    return sqlite3.connect(path, timeout=120, isolation_level=None)


def make(path):
    db = connect(path)
    db.execute("create table rows(writer integer, n integer, pad blob)")
    db.execute("create table counter(n integer)")
    db.execute("insert into counter values (0)")


def write(path, writer, count):
    db = connect(path)
    for n in range(int(count)):
        db.execute("begin immediate")
        db.execute("insert into rows values (?, ?, randomblob(300))", (int(writer), n))
        # Read and written back: an update that is lost shows.
        (so_far,) = db.execute("select n from counter").fetchone()
        db.execute("update counter set n = ?", (so_far + 1,))
        db.execute("commit")


def judge(path, total):
    db = connect(path)
    said = db.execute("pragma integrity_check").fetchall()
    assert said == [("ok",)], said
    (rows,) = db.execute("select count(*) from rows").fetchone()
    (single,) = db.execute("select count(*) from (select distinct writer, n from rows)").fetchone()
    (counter,) = db.execute("select n from counter").fetchone()
    assert rows == single == counter == int(total), f"{rows} rows, {single} different, counter {counter}, not {total}"


{"make": make, "write": write, "judge": judge}[sys.argv[1]](*sys.argv[2:])
