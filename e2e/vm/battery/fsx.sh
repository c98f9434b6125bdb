# The file system exerciser: random reads, writes, maps, truncations of one file, each checked. Three caching modes
# of the client, since each takes other roads through the server.
. /host/battery/lib.sh

cat > /tmp/usual.toml <<'T'
flen = 1048576
[opsize]
max = 131072
[weights]
close_open = 1.0
invalidate = 1.0
fsync = 0.5
T
# What fallocate(2) and copy_file_range(2) do at the server.
cat > /tmp/more.toml <<'T'
flen = 1048576
[opsize]
max = 131072
[weights]
close_open = 1.0
invalidate = 1.0
punch_hole = 3.0
copy_file_range = 3.0
sendfile = 1.0
T

# exercise CONFIG OPERATIONS FILE
exercise() {
    local said
    said=$(cd /tmp && RUST_BACKTRACE=0 timeout 200 /host/fsx -f "$1" -S 42 -N "$2" -P /tmp "$3" 2>&1) && return 0
    tail -n 3 <<<"$said" | tr '\n' ' '
    return 1
}

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A || continue
    check $variant.usual exercise /tmp/usual.toml 1500 $A/fsx
    check $variant.more exercise /tmp/more.toml 800 $A/fsx-more
    detach $A
done
check uncached.mount attach plain $A cache=none
check uncached.usual exercise /tmp/usual.toml 1000 $A/fsx-uncached
detach $A
check loose.mount attach plain $A cache=loose
check loose.usual exercise /tmp/usual.toml 1000 $A/fsx-loose
rm -f $A/fsx*
detach $A
echo end
