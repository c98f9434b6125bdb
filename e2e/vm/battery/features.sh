# What a Linux user may try beyond reading and writing: links, attributes, holes, copies at the server, owners.
. /host/battery/lib.sh

symlinks_mfs() { # kept as files of Minshall and French: no help from the server
    attach plain $B mfsymlinks && ln -s target $B/sl && same 'readlink' "$(readlink $B/sl)" target && rm $B/sl
    local done=$?; detach $B; return $done
}
fifo_sfu() {
    attach plain $B sfu && mkfifo $B/pipe && [ -p $B/pipe ] && rm $B/pipe
    local done=$?; detach $B; return $done
}
xattrs() {
    echo x > $A/x && setfattr -n user.color -v blue $A/x && setfattr -n user.size -v '' $A/x && cold || return
    same 'read back' "$(getfattr --only-values -n user.color $A/x)" blue || return
    same 'listed' "$(getfattr -d $A/x 2>/dev/null | grep -c '^user.color')" 1 || return
    setfattr -x user.color $A/x && same 'after removal' "$(getfattr -d $A/x 2>/dev/null | grep -c '^user.color')" 0
}
# Modes kept in the DACL, by an entry for S-1-5-88-3-MODE.
modes() {
    attach plain $B modefromsid || return
    echo x > $B/mode && chmod 640 $B/mode && mkdir -m 750 $B/dir && cold &&
        same 'modes' "$(stat -c %a $B/mode $B/dir | tr '\n' ' ')" '640 750 ' && rm -r $B/mode $B/dir
    local done=$?; detach $B; return $done
}
# Owners kept as S-1-5-88-1-UID and S-1-5-88-2-GID: making somebody else the owner is for administrators.
owners() {
    [ -n "$ADMINISTRATOR" ] || { echo 'nobody is one here'; return 1; }
    USER=$ADMINISTRATOR attach plain $B modefromsid,idsfromsid || return
    echo x > $B/owned && same 'at birth' "$(stat -c '%u %g %a' $B/owned)" '0 0 644' && chown 1000:1001 $B/owned && chmod 604 $B/owned &&
        cold && same 'owner' "$(stat -c '%u %g %a' $B/owned)" '1000 1001 604' && rm $B/owned
    local done=$?; detach $B; return $done
}
# The mode as the DACL has it for owner, group and everybody.
modes_by_acl() {
    attach plain $B cifsacl || return
    echo x > $B/acl && chmod 640 $B/acl && cold && same 'mode' "$(stat -c %a $B/acl)" 640 && rm $B/acl
    local done=$?; detach $B; return $done
}
acl_read() { echo x > $A/acl && getcifsacl $A/acl | grep -q '^OWNER:S-1-\|^OWNER:'; }
acl_written() {
    echo x > $A/acl && setcifsacl -S 'ACL:S-1-1-0:ALLOWED/0x0/0x1200a9' $A/acl && cold &&
        getcifsacl -r $A/acl | grep -qi 'S-1-1-0' && getcifsacl $A/acl | grep -c ^ACL: | { read -r n; same 'entries' "$n" 1; }
}
streams() { # a named stream, by the name that the client sends through
    attach plain $B nomapposix,noserverino || return # a stream has its file's number
    echo x > $B/s && echo stream > "$B/s:extra" && same 'stream' "$(cat "$B/s:extra")" stream && same 'file' "$(cat $B/s)" x &&
        same 'names' "$(ls $B | grep -c '^s')" 1 && rm $B/s
    local done=$?; detach $B; return $done
}
allocate() {
    fallocate -l 3000000 $A/al && same 'size' "$(stat -c %s $A/al)" 3000000 || return
    fallocate -n -o 3000000 -l 1000000 $A/al 2>/dev/null; rm $A/al
}
punch() {
    noise 1000000 1 > $A/p && sync && fallocate -p -o 200000 -l 300000 $A/p || return
    local want; want=$( (noise 200000 1; head -c 300000 /dev/zero; noise 1000000 1 | tail -c 500000) | sha256sum | cut -d' ' -f1)
    same 'read' "$(here $A/p)" "$want" && same 'at the host' "$(at_host p)" "$want"
}
hole_is_free() { # what was punched takes no room at the server
    noise 4000000 1 > $A/free && sync && fallocate -p -o 0 -l 3000000 $A/free && cold || return
    [ "$(order sh 'stat -c %b free')" -lt 4000 ] || fail "$(order sh 'stat -c %b free') blocks for 1 MB of content"
}
zero_range() {
    noise 1000000 2 > $A/z && sync && fallocate -z -o 100000 -l 50000 $A/z || return
    local want; want=$( (noise 100000 2; head -c 50000 /dev/zero; noise 1000000 2 | tail -c 850000) | sha256sum | cut -d' ' -f1)
    same 'read' "$(here $A/z)" "$want"
}
seek_hole() {
    truncate -s 4000000 $A/h && echo x | dd of=$A/h bs=1 seek=2000000 conv=notrunc status=none && cold || return
    python3 -c "
import os, sys
f = os.open('$A/h', os.O_RDONLY)
data = os.lseek(f, 0, os.SEEK_DATA)
sys.exit(0 if 1000000 < data <= 2000000 else print('SEEK_DATA gives', data) or 1)"
}
collapse_refused_or_right() {
    noise 65536 3 > $A/c && sync
    fallocate -c -o 4096 -l 4096 $A/c 2>/dev/null || return 0
    same 'collapsed' "$(here $A/c)" "$( (noise 4096 3; noise 65536 3 | tail -c 57344) | sha256sum | cut -d' ' -f1)"
}
copy_at_server() { # the bytes do not cross the wire
    noise 50000000 5 > $A/from && sync || return
    local before; before=$(cat /sys/class/net/[ev]*0/statistics/tx_bytes)
    python3 -c "
import os
a, b = os.open('$A/from', os.O_RDONLY), os.open('$A/to', os.O_RDWR | os.O_CREAT | os.O_TRUNC)
at = 0
while at < 50000000:
    n = os.copy_file_range(a, b, 50000000 - at, at, at)
    assert n > 0, n
    at += n" || return
    local crossed=$(($(cat /sys/class/net/[ev]*0/statistics/tx_bytes) - before))
    same 'copy' "$(here $A/to)" "$(here $A/from)" || return
    [ $crossed -lt 5000000 ] || fail "$crossed bytes crossed the wire"
}
clone() { echo x > $A/r1 && python3 -c "
import fcntl, os
fcntl.ioctl(os.open('$A/r2', os.O_RDWR | os.O_CREAT), 0x40049409, os.open('$A/r1', os.O_RDONLY))"; }
snapshots_listed() { # answered, though there are none
    python3 -c "
import fcntl, os, struct
fcntl.ioctl(os.open('$A/acl', os.O_RDONLY), 0x800ccf06, bytearray(struct.pack('=III', 0, 0, 16) + bytes(64)))"
}
file_info() { python3 -c "
import fcntl, os
# FS_IOC_GETFLAGS; what is not compressed has no flags
fcntl.ioctl(os.open('$A/acl', os.O_RDONLY), 0x80086601, bytearray(8))"; }
dos_attributes() {
    echo x > $A/dos && setfattr -n user.cifs.dosattrib -v 0x22000000 $A/dos && cold &&
        same 'attributes' "$(getfattr -e hex -n user.cifs.dosattrib $A/dos | sed -n 's/.*=//p')" 0x22000000
}
birth() { echo x > $A/b && [ "$(stat -c %W $A/b)" -gt 1000000000 ] || fail "born $(stat -c %W $A/b)"; }
deep() {
    local d=$A i; for i in $(seq 40); do d=$d/a-directory-with-a-longer-name-$i; done
    mkdir -p "$d" && echo deep > "$d/file" && cold && same 'content' "$(cat "$d/file")" deep && rm -r $A/a-directory*
}
open_files() { # many at once
    mkdir $A/open && python3 -c "
import os
files = [open('$A/open/%d' % n, 'w+b') for n in range(900)]
for n, file in enumerate(files): file.write(b'%d' % n); file.flush()
for n, file in enumerate(files): file.seek(0); assert file.read() == b'%d' % n
" && rm -r $A/open
}

check mount attach plain $A || { echo end; exit; }
for what in symlinks_mfs fifo_sfu xattrs modes owners modes_by_acl acl_read acl_written streams allocate punch hole_is_free zero_range seek_hole \
    collapse_refused_or_right copy_at_server clone snapshots_listed file_info dos_attributes birth deep open_files; do
    check $what $what
done
rm -rf ${A:?}/*
check umount detach $A
echo end
