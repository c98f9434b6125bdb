# Mounting plain, sealed and over several channels, and what everybody does with files. The host's view is the judge.
. /host/battery/lib.sh

agreed_plain() {
    debug_data | grep -q 'Dialect 0x311 signed' || fail "not 3.1.1 and signed: $(debug_data | grep Dialect)"
}
agreed_seal() {
    debug_data | grep -q 'DISK.*Encrypted' || fail "the share is not encrypted: $(debug_data | grep DISK)"
}
agreed_channels() {
    debug_data | grep -q 'Extra Channels: 3' || fail "$(debug_data | grep -c 'Channel: [0-9]') extra channels, not 3"
}

both_ways() {
    local size
    for size in 0 1 511 4096 65535 65536 65537 1048577 9000001; do
        noise $size $size > "$A/len-$size"
    done
    for size in 0 1 511 4096 65535 65536 65537 1048577 9000001; do
        local want; want=$(noise $size $size | sha256sum | cut -d' ' -f1)
        same "len-$size read back" "$(here "$A/len-$size")" "$want" || return
        same "len-$size at the host" "$(at_host "len-$size")" "$want" || return
    done
    order sh "head -c 3000001 /dev/urandom > from-host" || return
    sleep 1.2
    same "from-host" "$(here "$A/from-host")" "$(at_host from-host)"
}

names() {
    local long name; long=$(printf 'n%.0s' {1..255})
    mkdir "$A/names" || return
    for name in "$long" 'ünïcode-名前-🙂' 'with space' 'two.dots.' 'quote"colon:star*ask?' 'Case' 'CASE2' '~tilde' '#$%&{}'; do
        echo "$name" > "$A/names/$name" || { echo "create $name"; return 1; }
    done
    cold
    for name in "$long" 'ünïcode-名前-🙂' 'with space' 'two.dots.' 'quote"colon:star*ask?' 'Case' 'CASE2' '~tilde' '#$%&{}'; do
        same "content of $name" "$(cat "$A/names/$name")" "$name" || return
        ls "$A/names" | grep -qxF -- "$name" || { echo "not listed: $name"; return 1; }
    done
    rm -r "$A/names"
}

moves() {
    mkdir -p "$A/m/d" && echo one > "$A/m/a" && echo two > "$A/m/b" || return
    mv "$A/m/a" "$A/m/b" && same 'renamed over' "$(cat "$A/m/b")" one || return
    mv "$A/m/b" "$A/m/d/c" && [ ! -e "$A/m/b" ] || { echo 'rename to another directory'; return 1; }
    mv "$A/m/d" "$A/m/e" && same 'below a renamed directory' "$(cat "$A/m/e/c")" one || return
    rmdir "$A/m/e" 2>/dev/null && { echo 'rmdir of a full directory'; return 1; }
    rm -r "$A/m" && [ ! -e "$A/m" ] || { echo 'rm -r'; return 1; }
    same 'at the host' "$(order sh 'ls -d m 2>/dev/null || echo gone')" gone
}

links() {
    echo x > "$A/l1" && ln "$A/l1" "$A/l2" && same 'number of links' "$(stat -c %h "$A/l2")" 2 || return
    same 'at the host' "$(order sh 'stat -c %h l1')" 2 || return
    # This client keeps a lease for the closed file a second more, and a lease belongs to one name.
    sleep 2
    echo yy > "$A/l2" && rm "$A/l2" && cold && same 'through the other name' "$(cat "$A/l1")" yy || return
    rm "$A/l1"
}

unlinked_while_open() {
    echo content > "$A/u" && exec 5<> "$A/u" || return
    rm "$A/u" || { echo 'rm of an open file'; exec 5>&-; return 1; }
    local said; said=$(cat <&5); exec 5>&-
    same 'read after rm' "$said" content || return
    sleep 0.2
    same 'names left' "$(ls -A "$A" | grep -c -e '^u$' -e '^\.smb' -e '^cifs')" 0
}

lengths() {
    noise 100000 7 > "$A/t" && truncate -s 50000 "$A/t" && truncate -s 200000 "$A/t" || return
    local want; want=$( (noise 50000 7; head -c 150000 /dev/zero) | sha256sum | cut -d' ' -f1)
    same 'cut and grown' "$(here "$A/t")" "$want" || return
    same 'at the host' "$(at_host t)" "$want" || return
    echo end | dd of="$A/t" bs=1 seek=5000000000 conv=notrunc status=none || return
    same 'size beyond 4 GiB' "$(stat -c %s "$A/t")" 5000000004 || return
    cold; same 'bytes beyond 4 GiB' "$(tail -c 4 "$A/t")" end || return
    for line in 1 2 3 4 5; do echo $line >> "$A/appended" || return; done
    cold; same 'appended' "$(tr -d '\n' < "$A/appended")" 12345 || return
    rm "$A/t" "$A/appended"
}

times() {
    echo x > "$A/when" && touch -m -d '2001-02-03 04:05:06.789012300 UTC' "$A/when" && cold || return
    same 'mtime' "$(stat -c %.9Y "$A/when")" 981173106.789012300 || return
    same 'mtime at the host' "$(order sh 'stat -c %.9Y when')" 981173106.789012300 || return
    rm "$A/when"
}

many_names() {
    mkdir "$A/many" && (cd "$A/many" && for i in $(seq 1500); do : > "file-with-a-longer-name-$i"; done) && cold || return
    same 'listed' "$(ls "$A/many" | wc -l)" 1500 || return
    same 'at the host' "$(order sh 'ls many | wc -l')" 1500 || return
    rm -r "$A/many" || return
    same 'left at the host' "$(order sh 'ls -d many 2>/dev/null || echo gone')" gone
}

room() {
    local guest host
    guest=$(stat -f -c '%S %b' "$A" | awk '{printf "%d", $1 * $2 / 1048576}')
    host=$(order sh "stat -f -c '%S %b' ." | awk '{printf "%d", $1 * $2 / 1048576}')
    same 'size of the file system, MiB' "$guest" "$host"
}

read_only_bit() {
    echo x > "$A/ro" && chmod a-w "$A/ro" && cold || return
    same 'mode' "$(stat -c %A "$A/ro" | cut -c3)" - || return
    chmod u+w "$A/ro" && rm "$A/ro"
}

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A || continue
    check $variant.agreed agreed_$variant
    for what in both_ways names moves links unlinked_while_open lengths times many_names read_only_bit room; do
        check $variant.$what $what
    done
    rm -rf "${A:?}"/* 2>/dev/null
    check $variant.emptied same 'left at the host' "$(order sh 'ls -A | wc -l')" 0
    check $variant.umount detach $A
done
echo end
