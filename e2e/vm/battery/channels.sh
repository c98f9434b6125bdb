# Four channels over two interfaces: they are opened, both interfaces are used, each channel carries its part, and
# the session outlives a mount that goes.
. /host/battery/lib.sh

interfaces_listed() {
    local listed; listed=$(debug_data | grep -A60 'Server interfaces' | grep -oE 'IPv4: [0-9.]+' | sort -u | tr '\n' ' ')
    same 'addresses' "$listed" "IPv4: $HOST1 IPv4: $HOST2 "
}
both_interfaces() {
    local used; used=$(connections | awk '{sub(":.*", "", $2); print $2}' | sort -u | tr '\n' ' ')
    same 'server addresses in use' "$used" "$HOST1 $HOST2 "
}
# Bytes sent on each connection.
sent() { ss -Htin state established '( dport = :445 )' | grep -oE 'bytes_sent:[0-9]+' | cut -d: -f2; }
received() { ss -Htin state established '( dport = :445 )' | grep -oE 'bytes_received:[0-9]+' | cut -d: -f2; }
# all_above LIMIT WHAT: each of four connections has so much
all_above() {
    local values; values=$($2)
    same 'connections' "$(wc -l <<<"$values")" 4 || return
    awk -v limit=$1 '$1 < limit {low = 1} END {exit low}' <<<"$values" || fail "$2: $(tr '\n' ' ' <<<"$values")"
}
written_by_all() {
    noise 268435456 1 > "$A/wide" && sync || return
    all_above 8388608 sent
}
read_by_all() {
    cold
    dd if="$A/wide" of=/dev/null bs=1M status=none || return
    all_above 8388608 received
}
# One reader and one writer for each of eight files, all at once, and every byte is right.
crowd() {
    local pids=() n bad=0
    for n in 1 2 3 4 5 6 7 8; do
        ( noise 16777216 $n > "$A/crowd-$n"; [ "$(here "$A/crowd-$n")" = "$(noise 16777216 $n | sha256sum | cut -d' ' -f1)" ] ) &
        pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || bad=$((bad + 1)); done
    same 'wrong files' $bad 0 || return
    for n in 1 2 3 4 5 6 7 8; do
        same "crowd-$n at the host" "$(at_host crowd-$n)" "$(noise 16777216 $n | sha256sum | cut -d' ' -f1)" || return
    done
}
# A second mount shares the session; the first goes, the second works on.
mount_goes() {
    attach channels $B && echo both > $B/shared && umount $A && same 'after umount of the other' "$(cat $B/shared)" both
}

check mount attach channels $A || { echo end; exit; }
sleep 1
check interfaces_listed interfaces_listed
check four_connections same 'connections' "$(connections | wc -l)" 4
check both_interfaces both_interfaces
check written_by_all written_by_all
check wide_at_host same 'hash' "$(at_host wide)" "$(noise 268435456 1 | sha256sum | cut -d' ' -f1)"
check read_by_all read_by_all
check crowd crowd
check mount_goes mount_goes
rm -f $B/wide $B/crowd-* $B/shared
check umount detach $B
sleep 1
check connections_closed same 'connections left' "$(connections | wc -l)" 0
# Sealed over several channels: each has keys of its own.
check sealed.mount attach channels $A seal
check sealed.crowd crowd
rm -f $A/crowd-*
check sealed.umount detach $A
echo end
