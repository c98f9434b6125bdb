# Byte-range locks between two mounts that know nothing of each other: the server alone keeps them apart.
. /host/battery/lib.sh

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A && check $variant.second_mount attach $variant $B nosharesock || continue
    noise 100000 3 > $A/locked; sync
    for what in excludes beside shares releases whole_file far_offsets many waits dies mandatory; do
        check $variant.$what timeout 60 python3 $HERE/locks.py $what $A/locked $B/locked
    done
    check $variant.lockfile same 'names made' "$(for i in 1 2 3 4 5 6 7 8; do
        (cd $A; [ $((i % 2)) = 0 ] && cd $B; set -C; { echo $i > only-one; } 2>/dev/null && echo made) & done | wc -l)" 1
    rm -f $A/locked $A/only-one
    detach $B; check $variant.umount detach $A
done
echo end
