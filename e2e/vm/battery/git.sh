# git on the share: clone, commit, merge, repack, push back, fsck. git renames, links, maps and locks by creation.
. /host/battery/lib.sh
export GIT_AUTHOR_NAME=rig GIT_AUTHOR_EMAIL=rig@localhost GIT_COMMITTER_NAME=rig GIT_COMMITTER_EMAIL=rig@localhost
git config --global core.fileMode false; git config --global safe.directory '*'; git config --global gc.auto 0
git config --global init.defaultBranch main; git config --global advice.detachedHead false

make_origin() {
    mkdir -p /tmp/origin && cd /tmp/origin && git init -q && tar -xf /usr/src/*.orig.tar.* --strip-components=1 &&
        git add -A && git commit -qm first || return
    local n
    for n in $(seq 12); do
        echo "$n" >> README && echo "$n" > "new-$n" && git add -A && git commit -qm "change $n" || return
    done
    git clone -q --bare /tmp/origin /tmp/origin.git
}
clone() { git clone -q /tmp/origin.git $A/clone; }
same_tree() { cold; cd $A/clone && git fsck --strict && same 'status' "$(git status --porcelain)" ''; }
commits() {
    cd $A/clone && git switch -qc topic && git mv README READ.ME && echo more >> zlib.h && git commit -qam topic &&
        git switch -q main && echo other > other && git add other && git commit -qm other && git merge -q -m merged topic
}
repack() { cd $A/clone && git gc -q --prune=now && cold && git fsck --strict && same 'status' "$(git status --porcelain)" ''; }
push() { cd $A/clone && git push -q origin main && same 'heads' "$(git -C /tmp/origin.git rev-parse main)" "$(git rev-parse main)"; }
# A bare repository on the share, pushed to and cloned from.
serve() {
    git init -q --bare $A/bare.git && git -C /tmp/origin push -q $A/bare.git main && cold &&
        git clone -q $A/bare.git /tmp/back && same 'heads' "$(git -C /tmp/back rev-parse HEAD)" "$(git -C /tmp/origin rev-parse HEAD)"
    local done=$?
    rm -rf /tmp/back
    return $done
}
fsck_at_host() { order sh "git -c safe.directory='*' -C clone fsck --strict 2>&1"; }

check origin make_origin || { echo end; exit; }
for variant in $VARIANTS; do
    check $variant.mount attach $variant $A || continue
    for what in clone same_tree commits repack push serve fsck_at_host; do
        check $variant.$what $what
    done
    cd /; rm -rf ${A:?}/* /tmp/origin.git; git clone -q --bare /tmp/origin /tmp/origin.git
    check $variant.umount detach $A
done
echo end
