# SQLite: two writers on each of two mounts that know nothing of each other, so that only the server's byte-range
# locks part them. No transaction that was acknowledged is missing, none counts twice, the file is sound.
. /host/battery/lib.sh
EACH=${EACH:-40}

writers() {
    python3 $HERE/sqlite_writers.py make $A/db || return
    local pids=() n dir bad=0
    for n in 1 2 3 4; do
        dir=$A; [ $n -gt 2 ] && dir=$B
        python3 $HERE/sqlite_writers.py write $dir/db $n $EACH > /tmp/writer-$n 2>&1 & pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || bad=$((bad + 1)); done
    [ $bad = 0 ] || { tail -qn 1 /tmp/writer-*; return 1; }
}
judge() { cold; python3 $HERE/sqlite_writers.py judge "$1/db" $((4 * EACH)); }
at_the_host() {
    same 'integrity' "$(order sh "sqlite3 db 'pragma integrity_check; select count(*) from rows; select n from counter'" | tr '\n' ' ')" \
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
    check $variant.mount attach $variant $A && check $variant.second_mount attach $variant $B nosharesock || continue
    check $variant.writers writers
    check $variant.judge judge $B
    check $variant.at_the_host at_the_host
    check $variant.bulk bulk
    rm -f $A/db* $A/bulk*
    detach $B; check $variant.umount detach $A
done
echo end
