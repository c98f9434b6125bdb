# One of two interfaces goes dead in the middle of a 1 GiB write over four channels, and comes back. Nothing is lost,
# nothing is done twice: each byte here, at the server's disk and read anew is the one that was written.
. /host/battery/lib.sh
GIB=1073741824
ALIVE=hard,echo_interval=${ECHO:-2}

# sent_by N: bytes that the Nth NIC has sent
nic() { ip -o -4 addr | awk -v a="$1" 'index($4, a "/") == 1 {print $2}'; }
NIC1=$(nic "$GUEST1") NIC2=$(nic "$GUEST2")
sent_by() { cat /sys/class/net/$1/statistics/tx_bytes; }
# until_sent NIC BYTES SECONDS
until_sent() {
    local from till=$((SECONDS + $3)); from=$(sent_by $1)
    until [ $(($(sent_by $1) - from)) -gt $2 ]; do
        [ $SECONDS -lt $till ] || { echo "$1 sent $(($(sent_by $1) - from)) bytes in $3 s"; return 1; }
        sleep 0.1
    done
}

# cut_while_writing N: 1 GiB of noise while the Nth interface is dead for 10 s at least, and until the other has carried
# on or had a minute for it
cut_while_writing() {
    local other=$NIC1; [ $1 = 1 ] && other=$NIC2
    ( noise $GIB $1 | dd of=$A/big-$1 bs=1M iflag=fullblock conv=fsync status=none ) & local writer=$!
    until_sent $NIC1 60000000 120 || return
    order cut $1 || return
    local patience=60; [ $1 = 1 ] && patience=25
    # Told apart, because it depends on the client too: whether it writes on over the other interface meanwhile.
    if until_sent $other 30000000 $patience > /tmp/goes-on-$1; then echo went on; else owed; fi >> /tmp/goes-on-$1
    sleep 10
    order mend $1 || return
    wait $writer || { echo 'dd failed'; return 1; }
}
# on_wire: how many requests wait for an answer on connections that live
on_wire() { debug_data | awk '/TCP status:/ {lives = $3 == 1} /Req On Wire:/ && lives {sum += $NF} END {print sum + 0}'; }
owed() {
    for _ in $(seq 50); do
        [ "$(on_wire)" = 0 ] && { echo 'nothing owed'; return; }
        sleep 0.1
    done
    echo "$(on_wire) requests without an answer"
}
# When the dead wire has caught a send half-way, this client (6.1) keeps that connection locked, and all its writing
# waits for it, whichever server there is. The server does its part as long as no connection that lives waits for it.
served() { grep -qxE 'went on|nothing owed' /tmp/goes-on-$1 || fail "$(tail -n 1 /tmp/goes-on-$1)"; }
intact() {
    local want; want=$(noise $GIB $1 | sha256sum | cut -d' ' -f1)
    same 'at the host' "$(at_host big-$1)" "$want" && same 'read back' "$(here $A/big-$1)" "$want"
}
# The same blocks are written over and over: a request of a dead channel that is carried out late, or twice, puts
# an older generation over a newer one.
generations() {
    timeout 200 python3 $HERE/generations.py write $A/blocks 40 > /tmp/acknowledged & local writer=$!
    sleep 5
    order cut 2 || return
    sleep 12
    order mend 2 || return
    wait $writer || { tail -n 1 /tmp/acknowledged; return 1; }
    cold
    python3 $HERE/generations.py judge $A/blocks < /tmp/acknowledged || return
    order sh 'sha256sum blocks' | cut -d' ' -f1 | { read -r sum; same 'at the host' "$sum" "$(here $A/blocks)"; }
}
# make N: a small file that must not be there. This client (6.1) gives a CREATE up with EAGAIN that has gone out on the
# wire that dies, and sends it no second time: then it is asked for again, and may be there.
make() {
    local said lost=
    until said=$( (set -C; echo $1 > $A/small/$1) 2>&1); do
        case $said in
            *'temporarily unavailable') lost=1; sleep 0.1;;
            *'cannot overwrite existing file') [ $lost ] || { echo "$said"; return; }; echo $1 > $A/small/$1; return;;
            *) echo "$said"; return;;
        esac
    done
}
# Each of many small files is made exactly once, though answers get lost.
made_once() {
    mkdir $A/small
    ( for n in $(seq 400); do make $n; done ) > /tmp/small 2>&1 & local maker=$!
    sleep 1; order cut 2 || return
    sleep 10; order mend 2 || return
    wait $maker
    same 'refused' "$(grep -c . /tmp/small)" 0 || { sed 's/.*line [0-9]*: //' /tmp/small | tail -n 1; return 1; }
    same 'at the host' "$(order sh 'cat small/* | sort -n | uniq | wc -l')" 400
}

check mount attach channels $A $ALIVE || { echo end; exit; }
sleep 1
check second.write cut_while_writing 2
check second.served served 2
echo "second: $(tail -n 1 /tmp/goes-on-2)"
check second.intact intact 2
rm -f $A/big-2
check first.write cut_while_writing 1
check first.served served 1
echo "first: $(tail -n 1 /tmp/goes-on-1)"
check first.intact intact 1
rm -f $A/big-1
check generations generations
check made_once made_once
rm -rf $A/small $A/blocks
check umount detach $A
echo end
