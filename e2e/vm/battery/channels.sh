# Four channels over two interfaces: they are opened, both interfaces are used, both carry their part, and
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
# moved WHAT: bytes of each connection, with the server's address
moved() {
    ss -Htin state established '( dport = :445 )' | awk -v what=$1: '
        NF >= 4 && $4 ~ /:445$/ {sub(":.*", "", $4); to = $4}
        {for (n = 1; n <= NF; n++) if (index($n, what) == 1) print to, substr($n, length(what) + 1)}'
}
# spread WHAT: two connections and each interface carry their part; which ones is the client's choice
spread() {
    local all; all=$(moved $1)
    awk '$2 > 16777216 {n += 1; seen[$1] = 1} END {exit !(n >= 2 && length(seen) == 2)}' <<<"$all" || fail "$1: $(tr '\n' ' ' <<<"$all")"
}
written_by_both() {
    noise 268435456 1 > "$A/wide" && sync || return
    spread bytes_sent
}
read_by_both() {
    cold
    dd if="$A/wide" of=/dev/null bs=1M status=none || return
    spread bytes_received
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

four_connections() { # made one after another, once the mount is there
    local till=$((SECONDS + 10))
    until [ "$(connections | wc -l)" = 4 ]; do
        [ $SECONDS -lt $till ] || { same 'connections' "$(connections | wc -l)" 4; return; }
        sleep 0.5
    done
}

check mount attach channels $A || { echo end; exit; }
sleep 1
check interfaces_listed interfaces_listed
check four_connections four_connections
check both_interfaces both_interfaces
check written_by_both written_by_both
check wide_at_host same 'hash' "$(at_host wide)" "$(noise 268435456 1 | sha256sum | cut -d' ' -f1)"
check read_by_both read_by_both
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
