# A source tree: unpacked, compared, configured, built and its own tests run on the share; then removed.
. /host/battery/lib.sh

tarball=$(echo /usr/src/*.orig.tar.*)
mkdir -p /tmp/source && tar -xf "$tarball" -C /tmp/source
tree=$(ls /tmp/source)

unpack() { tar -xf "$tarball" -C $A --no-same-owner; }
compare() { cold; diff -r /tmp/source/$tree $A/$tree; }
configure() { cd $A/$tree && ./configure; }
build() { cd $A/$tree && make libz.a example minigzip; }
tests() { cd $A/$tree && ./example && ./minigzip < zlib.h > /tmp/z.gz && gzip -dc /tmp/z.gz | cmp - zlib.h; }
# The archive that is linked from the share's objects is the one on the server's disk.
archive() { same 'libz.a' "$(here $A/$tree/libz.a)" "$(at_host $tree/libz.a)"; }
again() { cd $A/$tree && make -n libz.a | grep -q '^cc\|^gcc' && fail 'make wants to compile again: times are wrong'; true; }
remove() { cd / && rm -r $A/$tree && same 'left at the host' "$(order sh 'ls -A | wc -l')" 0; }

for variant in $VARIANTS; do
    check $variant.mount attach $variant $A || continue
    for what in unpack compare configure build tests archive again remove; do
        check $variant.$what $what
    done
    rm -rf ${A:?}/*
    check $variant.umount detach $A
done
echo end
