# The POSIX extensions of SMB 3.1.1, and what a younger kernel does without them: modes, symbolic links, names that
# differ in case alone, removing and replacing what is open; and that nothing is made of what docs/limits.md has as absent.
# Wants kernel 6.12 (`--backend kvm` or `tcg`): 6.1 fails here on Samba too.
. /host/battery/lib.sh

agreed() { debug_data | grep -qi posix || fail 'no POSIX extensions'; }
modes() {
    echo x > $A/m && chmod 640 $A/m && cold && same 'mode' "$(stat -c %a $A/m)" 640 || return
    mkdir -m 711 $A/d && cold && same 'mode of a directory' "$(stat -c %a $A/d)" 711 || return
    (umask 077; : > $A/private) && cold && same 'mode at creation' "$(stat -c %a $A/private)" 600 || return
    same 'at the host' "$(order sh 'stat -c %a m d private' | tr '\n' ' ')" '640 711 600 '
}
modes_given() { # and nobody is locked out by them
    echo '#!/bin/sh' > $A/run && echo 'echo ran' >> $A/run && chmod +x $A/run && cold || return
    same 'run' "$($A/run)" ran || return
    mkdir $A/md && chmod 755 $A/md && cold && echo x > $A/md/f && chmod 600 $A/md/f && cold || return
    same 'content' "$(cat $A/md/f)" x && same 'at the host' "$(order sh 'stat -c %a run md md/f' | tr '\n' ' ')" '755 755 600 '
}
symlinks() {
    ln -s a/target $A/sl && cold && same 'readlink' "$(readlink $A/sl)" a/target || return
    [ -L $A/sl ] || fail 'not listed as a link' || return
    mkdir -p $A/a && echo x > $A/a/target && same 'through the link' "$(cat $A/sl)" x
}
absolute_symlinks() { ! ln -s /absolute $A/sa 2> /dev/null || fail 'one is made that no node follows'; }
special() { ! mkfifo $A/pipe 2> /dev/null || fail 'a pipe is made'; }
case_matters() {
    echo lower > $A/name && echo upper > $A/NAME && cold || return
    same 'content' "$(cat $A/name $A/NAME | tr '\n' ' ')" 'lower upper '
}
case_matters_in_renames() {
    echo kept > $A/rn && echo moved > $A/other && mv $A/other $A/RN && ln $A/rn $A/Rn && cold || return
    same 'content' "$(cat $A/rn $A/RN $A/Rn | tr '\n' ' ')" 'kept moved kept ' || return
    same 'at the host' "$(order sh 'cat rn RN Rn' | tr '\n' ' ')" 'kept moved kept '
}
reserved() { # what Windows reserves is a name like any other
    local name; for name in 'a:b' 'a*b' 'a?b' 'a"b' 'a<b' 'a|b' 'trailing.' 'trailing '; do
        echo "$name" > "$A/$name" && same "$name" "$(cat "$A/$name")" "$name" || return
    done
    order sh 'ls' | grep -qxF 'a:b' || fail 'another name at the host'
}
links_counted() { echo x > $A/h1 && ln $A/h1 $A/h2 && cold && same 'links' "$(stat -c %h $A/h1)" 2; }
unlinked() { # its name is free at once, and who has it open goes on
    local line; echo x > $A/u && exec 5<> $A/u && rm $A/u && echo new > $A/u; local done=$?
    read -r -u 5 line && echo more >&5; done=$((done + $?)); exec 5>&-
    [ $done = 0 ] && same 'what is open' "$line" x && cold && same 'content' "$(cat $A/u)" new
}
tree_removed() { # with a file in it that is open
    mkdir $A/tree && echo x > $A/tree/f && exec 5< $A/tree/f && rm -r $A/tree; local done=$?; exec 5<&-
    [ $done = 0 ] && same 'at the host' "$(order sh 'ls -d tree 2>/dev/null | wc -l')" 0
}
replaced() { # by rename(2): what is open, and an empty directory
    echo old > $A/r && exec 5< $A/r && echo new > $A/s && mv $A/s $A/r; local done=$? line
    read -r -u 5 line; exec 5<&-
    [ $done = 0 ] && same 'what is open' "$line" old && same 'content' "$(cat $A/r)" new || return
    mkdir $A/full $A/empty && echo x > $A/full/f && mv -T $A/full $A/empty && same 'moved' "$(cat $A/empty/f)" x
}
moved_with_an_open_file() {
    mkdir $A/from && echo x > $A/from/f && exec 5<> $A/from/f && mv $A/from $A/to; local done=$?
    echo y >&5; exec 5>&-
    [ $done = 0 ] && cold && same 'content' "$(cat $A/to/f)" y
}
native_symlinks() { # by reparse points, without the extensions
    attach plain $B && ln -s target $B/native; local done=$?; detach $B
    [ $done = 0 ] && same 'at the host' "$(order sh 'readlink native')" target
}

check mount attach posix $A || { echo end; exit; }
for what in agreed modes modes_given symlinks absolute_symlinks special case_matters case_matters_in_renames reserved \
    links_counted unlinked tree_removed replaced moved_with_an_open_file; do
    check $what $what
done
rm -rf ${A:?}/*
check umount detach $A
check native_symlinks native_symlinks
echo end
