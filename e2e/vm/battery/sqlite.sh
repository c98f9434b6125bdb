# SQLite with writers at the same time: no transaction that was acknowledged is missing, none counts twice, the file
# is sound.
#
# SQLite's own locks change a shared lock into an exclusive one of the same handle, which byte-range locks of SMB do
# not (MS-FSA 2.1.5.7): with them it says "database is locked", on Samba too, so Linux users mount with nobrl. On
# one mount the kernel then parts the writers. On two mounts they take turns, parted by a directory that the server
# makes exactly once, and each must see all that the last one wrote.
. /host/battery/lib.sh
EACH=${EACH:-25}

# writers HOW NAME DIR...: one in each
writers() {
    local how=$1 name=$2 pids=() n=0 dir bad=0; shift 2
    python3 $HERE/sqlite_writers.py make $A/$name || return
    for dir in "$@"; do
        n=$((n + 1))
        python3 $HERE/sqlite_writers.py $how $dir/$name $n $EACH > /tmp/writer-$n 2>&1 & pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || bad=$((bad + 1)); done
    [ $bad = 0 ] || { cat /tmp/writer-* | tail -n 1; return 1; }
}
judge() { cold; python3 $HERE/sqlite_writers.py judge "$1" $((4 * EACH)); }
at_the_host() {
    same 'at the host' "$(order sh "sqlite3 $1 'pragma integrity_check; select count(*) from rows; select n from counter'" | tr '\n' ' ')" \
        "ok $((4 * EACH)) $((4 * EACH)) "
}
# What the sqlite3 shell does by itself: bulk, index, vacuum.
bulk() {
    local said
    said=$(sqlite3 $A/bulk 'create table t(a integer primary key, b text);
        with recursive s(i) as (select 1 union all select i + 1 from s where i < 20000)
        insert into t select i, hex(randomblob(40)) from s; create index b on t(b); delete from t where a % 3 = 0; vacuum;
        pragma integrity_check; select count(*) from t') || return
    same 'bulk' "$(tr '\n' ' ' <<<"$said")" 'ok 13334 '
}

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A nobrl && check $variant.second_mount attach $variant $B nobrl,nosharesock || continue
    check $variant.bulk bulk
    check $variant.one_mount writers write db $A $A $A $A
    check $variant.one_mount_judged judge $B/db
    check $variant.one_mount_at_the_host at_the_host db
    check $variant.two_mounts writers take_turns db.shared $A $A $B $B
    check $variant.two_mounts_judged judge $B/db.shared
    check $variant.two_mounts_at_the_host at_the_host db.shared
    rm -rf ${A:?}/*
    detach $B; check $variant.umount detach $A
done
echo end
