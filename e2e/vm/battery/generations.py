"""Blocks that are written over and over, each time with a higher generation (cut.sh, restart.sh, persistent.sh).

`write PATH SECONDS` prints "block generation" for each acknowledged write; `judge PATH` reads these lines and
looks whether each block has the last generation that was acknowledged, or the one that was under way at the end.
`stream PATH` writes what it reads, once, from the front to the end.

This client (6.1) fails a direct write with ECONNABORTED when it begins to send it just as the server dies; with Samba
too. Nobody has acknowledged that one: it is written again.
"""
import mmap
import os
import sys
import threading
import time

BLOCKS, BLOCK, WRITERS = 64, 65536, 8


def content(block, generation):
    return (b"%08d %012d\n" % (block, generation)) * (BLOCK // 22) + b"." * (BLOCK % 22)


def put(file, data, at):
    while True:
        try:
            return os.pwritev(file, [data], at)
        except ConnectionAbortedError:
            time.sleep(0.1)


def write(path, seconds):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    until = time.monotonic() + float(seconds)
    failures = []

    def writer(number):
        page = mmap.mmap(-1, BLOCK)
        generation = 0
        try:
            while time.monotonic() < until:
                generation += 1
                for block in range(number, BLOCKS, WRITERS):
                    page[:] = content(block, generation)
                    done = put(file, page, block * BLOCK)
                    assert done == BLOCK, done
                    print(f"{block} {generation}", flush=True)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.fsync(file)
    if failures:
        print(failures[0])
        sys.exit(1)


def stream(path):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    at = 0
    while data := sys.stdin.buffer.read(1 << 20):
        assert put(file, data, at) == len(data)
        at += len(data)
    os.fsync(file)


def judge(path):
    last = {}
    for line in sys.stdin:
        words = line.split()
        if len(words) == 2 and all(word.isdigit() for word in words):
            last[int(words[0])] = int(words[1])
    assert len(last) == BLOCKS, f"only {len(last)} of {BLOCKS} blocks were ever written"
    with open(path, "rb") as file:
        for block in range(BLOCKS):
            got = file.read(BLOCK)
            if got != content(block, last[block]):
                print(f"block {block}: {got[:21]!r}, not generation {last[block]}")
                sys.exit(1)


{"write": write, "judge": judge, "stream": stream}[sys.argv[1]](*sys.argv[2:])
