# The POSIX extensions of SMB 3.1.1, and what a younger kernel does without them: modes, symbolic links, special files,
# names that differ in case alone. Wants kernel 6.12 (`--backend kvm` or `tcg`): 6.1 fails here on Samba too.
. /host/battery/lib.sh

agreed() { debug_data | grep -qi posix || fail 'no POSIX extensions'; }
modes() {
    echo x > $A/m && chmod 640 $A/m && cold && same 'mode' "$(stat -c %a $A/m)" 640 || return
    mkdir -m 711 $A/d && cold && same 'mode of a directory' "$(stat -c %a $A/d)" 711 || return
    (umask 077; : > $A/private) && cold && same 'mode at creation' "$(stat -c %a $A/private)" 600 || return
    same 'at the host' "$(order sh 'stat -c %a m d private' | tr '\n' ' ')" '640 711 600 '
}
symlinks() {
    ln -s a/target $A/sl && ln -s /absolute $A/sa && cold || return
    same 'readlink' "$(readlink $A/sl) $(readlink $A/sa)" 'a/target /absolute' || return
    [ -L $A/sl ] || fail 'not listed as a link'
}
through_links() { mkdir -p $A/a && echo x > $A/a/target && same 'through the link' "$(cat $A/sl)" x; }
case_matters() {
    echo lower > $A/name && echo upper > $A/NAME && cold || return
    same 'content' "$(cat $A/name $A/NAME | tr '\n' ' ')" 'lower upper '
}
reserved() { # what Windows reserves is a name like any other
    local name; for name in 'a:b' 'a*b' 'a?b' 'a"b' 'a<b' 'a|b' 'trailing.' 'trailing '; do
        echo "$name" > "$A/$name" && same "$name" "$(cat "$A/$name")" "$name" || return
    done
    order sh 'ls' | grep -qxF 'a:b' || fail 'another name at the host'
}
special() { mkfifo $A/pipe && cold && [ -p $A/pipe ]; }
links_counted() { echo x > $A/h1 && ln $A/h1 $A/h2 && cold && same 'links' "$(stat -c %h $A/h1)" 2; }
unlinked() { # its name is free at once
    echo x > $A/u && exec 5<> $A/u && rm $A/u && echo new > $A/u; local done=$?
    exec 5>&-; [ $done = 0 ] && same 'content' "$(cat $A/u)" new
}
native_symlinks() { # by reparse points, without the extensions
    attach plain $B reparse=nfs && ln -s target $B/native && same 'readlink' "$(readlink $B/native)" target
    local done=$?; detach $B; return $done
}

check mount attach posix $A || { echo end; exit; }
for what in agreed modes symlinks through_links case_matters reserved special links_counted unlinked; do check $what $what; done
rm -rf ${A:?}/*
check umount detach $A
check native_symlinks native_symlinks
echo end
