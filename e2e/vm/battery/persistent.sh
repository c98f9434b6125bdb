# A share that is continuously available. The server is killed and started again under open files: handles,
# what they hold back from others (share modes, locks, delete on close) and the place of the writer are all there
# afterwards, and nobody else gets in between.
. /host/battery/lib.sh
SHARE=steady
ALIVE=persistenthandles,hard,echo_interval=${ECHO:-2}

kill_and_serve() { order kill && sleep 2 && order serve; }
granted() { debug_data | grep -qi 'CONTINUOUS' || fail 'the share is not continuously available'; }
# A lock held before the kill still keeps the second client out afterwards, and is still the first's own.
lock_survives() {
    echo x > $A/lock; sync
    python3 - $A/lock <<'P' & local holder=$!
import fcntl, sys, time, os
f = open(sys.argv[1], "r+b", 0)
fcntl.lockf(f, fcntl.LOCK_EX, 100, 0)
open("/tmp/held", "w").close()
while not os.path.exists("/tmp/let-go"): time.sleep(0.1)
f.write(b"mine")
os.fsync(f)
P
    until [ -e /tmp/held ]; do sleep 0.1; done
    kill_and_serve || return
    attach plain $B nosharesock || { touch /tmp/let-go; echo 'no second mount'; return 1; }
    python3 -c "
import fcntl, sys
try: fcntl.lockf(open('$B/lock', 'r+b', 0), fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)
except OSError: sys.exit(0)
print('the lock was given to another after the restart'); sys.exit(1)"
    local done=$?
    touch /tmp/let-go; wait $holder || { echo 'the holder could not write'; done=1; }
    detach $B; rm -f /tmp/held /tmp/let-go
    return $done
}
# Written without a break from the kill's point on: the same handle, no byte twice.
writer_goes_on() {
    ( noise 400000000 9 | python3 $HERE/generations.py stream $A/big ) & local writer=$!
    sleep 3; kill_and_serve || return
    sleep 4; kill_and_serve || return
    wait $writer || { echo 'the writer failed'; return 1; }
    local want; want=$(noise 400000000 9 | sha256sum | cut -d' ' -f1)
    same 'at the host' "$(at_host big)" "$want" && same 'read back' "$(here $A/big)" "$want"
}
generations() {
    timeout 200 python3 $HERE/generations.py write $A/blocks 25 > /tmp/acknowledged & local writer=$!
    sleep 5; kill_and_serve || return
    sleep 5; kill_and_serve || return
    wait $writer || { tail -n 1 /tmp/acknowledged; return 1; }
    cold; python3 $HERE/generations.py judge $A/blocks < /tmp/acknowledged
}
# An unlinked open file goes on through its handle. Writing comes first: a handle that this client (6.1) takes up for
# reading it does not use before it has looked at the name, which is going.
removed_while_open() {
    echo kept > $A/u && exec 5<> $A/u && rm $A/u || return
    kill_and_serve || return
    same 'through the handle' "$(timeout 60 python3 -c "
import os
os.pwrite(5, b'more', 5)
os.fsync(5)
print(os.pread(5, 100, 0))")" "b'kept\\nmore'"; local done=$?
    exec 5>&-; sleep 1.5
    same 'names left' "$(order sh 'ls -A | grep -c ^u$ || true')" 0 || done=1
    return $done
}
# A handle that this client (6.1) was about to close (it puts that off) when the server died it never takes up again; the
# server keeps it for its time, and the file that is removed goes with it.
nothing_left() {
    local left till=$((SECONDS + 90))
    until left=$(order sh 'ls -A | wc -l') && [ "$left" = 0 ]; do
        [ $SECONDS -lt $till ] || { same 'left at the host' "$left" 0; return; }
        sleep 2
    done
}

check mount attach plain $A $ALIVE || { echo end; exit; }
check granted granted
for what in lock_survives writer_goes_on generations removed_while_open; do check $what $what; done
rm -rf ${A:?}/*
check nothing_left nothing_left
check umount detach $A
echo end
