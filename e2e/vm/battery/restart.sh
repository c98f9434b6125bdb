# The server is killed and started again while the guest works. The client comes back by itself; what was
# acknowledged as written through (fsync, O_DIRECT) is there.
. /host/battery/lib.sh
ALIVE=hard,echo_interval=${ECHO:-2}

kill_and_serve() { order kill && sleep "${1:-3}" && order serve; }

during_write() {
    ( noise 400000000 9 | dd of=$A/big bs=1M iflag=fullblock conv=fsync status=none ) & local writer=$!
    sleep 4
    kill_and_serve || return
    wait $writer || { echo 'dd failed'; return 1; }
    local want; want=$(noise 400000000 9 | sha256sum | cut -d' ' -f1)
    same 'at the host' "$(at_host big)" "$want" && same 'read back' "$(here $A/big)" "$want"
}
during_generations() {
    timeout 200 python3 $HERE/generations.py write $A/blocks 25 > /tmp/acknowledged & local writer=$!
    sleep 5
    kill_and_serve || return
    wait $writer || { tail -n 1 /tmp/acknowledged; return 1; }
    cold; python3 $HERE/generations.py judge $A/blocks < /tmp/acknowledged
}
# small N: fsync'ed, so that the client tells of what it could not write. What it fails to send as the server dies (EAGAIN,
# ECONNABORTED; with Samba too) nobody has acknowledged, and is written again.
small() {
    local said
    until said=$(echo $1 | dd of=$A/small/$1 conv=fsync status=none 2>&1); do
        case $said in
            *'temporarily unavailable' | *'connection abort') sleep 0.2;;
            *) echo "file $1: $said"; return;;
        esac
    done
}
during_small_files() {
    mkdir $A/small
    ( for n in $(seq 200); do small $n; done ) > /tmp/small 2>&1 & local maker=$!
    sleep 1
    kill_and_serve || return
    wait $maker
    same 'refused' "$(grep -c '^file' /tmp/small)" 0 || { tail -n 1 /tmp/small; return 1; }
    same 'at the host' "$(order sh 'cat small/* | sort -n | uniq | wc -l')" 200
}
works_after() { echo after > $A/after && same 'content' "$(cat $A/after)" after; }

for variant in ${VARIANTS/seal/}; do
    check $variant.mount attach $variant $A $ALIVE || continue
    check $variant.during_write during_write
    # Over several channels this client (6.1) asks for the open again and again without a pause, until each connection is
    # known to be lost: a guest with one processor stands still for good. With Samba too.
    [ $variant = channels ] || check $variant.during_generations during_generations
    for what in during_small_files works_after; do check $variant.$what $what; done
    rm -rf ${A:?}/*
    check $variant.umount detach $A
done
echo end
