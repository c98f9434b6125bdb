# What one client sees of another's changes: two mounts that know nothing of each other, and changes at the server
# itself. A client that caches must be told before the other's change is done (oplocks, leases).
. /host/battery/lib.sh

# A writes and closes, B reads at once: close-to-open.
close_to_open() {
    local n
    for n in $(seq 30); do
        echo "$n" > $A/c && same "round $n" "$(cat $B/c)" "$n" || return
        echo "$n b" > $B/c && same "round $n back" "$(cat $A/c)" "$n b" || return
    done
}
# A keeps the file open with cached content; B changes it; A's next read tells the truth.
open_reader() {
    echo first > $A/o && exec 5< $A/o && same 'first' "$(cat /proc/self/fd/5)" first || return
    echo other > $B/o || return
    same 'after a write elsewhere' "$(cat $A/o)" other; local done=$?
    exec 5<&-
    return $done
}
# A has unwritten data under its oplock; B opens: A must flush first.
unwritten() {
    exec 5> $A/w && echo held >&5 || return
    local said; said=$(timeout 50 cat $B/w); exec 5>&-
    same 'read elsewhere while open' "$said" held
}
appended_by_both() {
    local n
    : > $A/log
    for n in $(seq 20); do echo "a$n" >> $A/log && echo "b$n" >> $B/log || return; done
    cold; same 'lines' "$(sort $A/log | uniq | wc -l)" 40
}
names_seen() {
    mkdir $A/dir && touch $A/dir/x && same 'made' "$(ls $B/dir)" x || return
    mv $A/dir/x $A/dir/y && sleep 1.1 && same 'renamed' "$(ls $B/dir)" y || return
    rm $B/dir/y && sleep 1.1 && same 'removed' "$(ls $A/dir)" '' && rmdir $A/dir
}
host_changes_content() {
    echo one > $A/h && same 'here' "$(cat $A/h)" one || return
    order sh 'echo three > h' || return
    sleep 2.5; same 'after a change at the host' "$(cat $A/h)" three
}
# CIFS_IOC_NOTIFY on a directory of A; B makes a file.
notified() {
    mkdir -p $A/watched
    timeout 20 python3 $HERE/notify.py $A/watched & local pid=$!
    sleep 2; touch $B/watched/new; local begun=$SECONDS
    wait $pid || { echo 'no notice'; return 1; }
    [ $((SECONDS - begun)) -lt 5 ] || { echo "told after $((SECONDS - begun)) s"; return 1; }
    rm -r $A/watched
}

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A actimeo=1 && check $variant.second_mount attach $variant $B nosharesock,actimeo=1 || continue
    for what in close_to_open open_reader unwritten appended_by_both names_seen host_changes_content notified; do
        check $variant.$what $what
    done
    rm -rf ${A:?}/*
    detach $B; check $variant.umount detach $A
done
echo end
