# dbench's load of an office's file server, on several mounts' kinds; and rm, listing and creation of one directory by many.
. /host/battery/lib.sh

load() {
    mkdir -p $A/load
    timeout 120 dbench -t 15 -D $A/load -c /usr/share/dbench/client.txt 4 > /tmp/dbench 2>&1 || { tail -n 1 /tmp/dbench; return 1; }
    grep -q '^Throughput' /tmp/dbench || fail "$(tail -n 1 /tmp/dbench)" || return
    ! grep -i 'failed\|error' /tmp/dbench | head -n 1 | grep .
}
crowded_directory() {
    local n pids=() bad=0
    mkdir $A/crowded || return
    for n in 1 2 3 4 5 6; do
        ( for i in $(seq 60); do echo $i > $A/crowded/$n-$i && mv $A/crowded/$n-$i $A/crowded/m-$n-$i && cat $A/crowded/m-$n-$i || exit 1
            [ $((i % 3)) = 0 ] && { rm $A/crowded/m-$n-$i || exit 1; }; done > /dev/null; true ) & pids+=($!)
    done
    for n in "${pids[@]}"; do wait $n || bad=$((bad + 1)); done
    same 'workers that failed' $bad 0 || return
    cold; same 'names' "$(ls $A/crowded | wc -l)" 240 && same 'at the host' "$(order sh 'ls crowded | wc -l')" 240
}
mount_and_go() { # 8 mounts one after another
    local n
    for n in $(seq 8); do attach $1 $B nosharesock && echo $n > $B/n && umount $B || { echo "mount $n"; return 1; }; done
}

# All goes at once, though the client has listed and changed it all just before.
removed() { rm -rf ${A:?}/*; }

# dbench takes the first semaphore of a boot, whose number is 0, for none.
ipcmk -S 1 > /tmp/semaphore
for variant in $VARIANTS; do
    check $variant.mount attach $variant $A || continue
    check $variant.crowded_directory crowded_directory
    check $variant.mount_and_go mount_and_go $variant
    check $variant.load load
    check $variant.removed removed
    check $variant.umount detach $A
done
echo end
