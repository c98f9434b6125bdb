# What the scripts of the battery share: mounts, checks, orders to the host. Sourced in the guest.
#
# From the driver: $SHARE, $USER, $PASSWD (mount.cifs reads the last two), $ADMINISTRATOR (a user with the same password,
# or nobody); the server listens on port 445 of $HOST1 and $HOST2. A check prints `ok NAME` or `FAIL NAME why`; the last
# line of a script is `end`.

HERE=/host/battery
A=/mnt/a B=/mnt/b
VARIANTS=${VARIANTS:-plain seal channels}
modprobe cifs

# options VARIANT: how it is mounted
options() {
    case $1 in
        plain) echo vers=3.1.1;;
        seal) echo vers=3.1.1,seal;;
        channels) echo vers=3.1.1,multichannel,max_channels=4;;
        posix) echo vers=3.1.1,posix;;
    esac
}

# attach VARIANT DIR [FURTHER OPTIONS]
attach() {
    mkdir -p "$2"
    timeout 60 mount -t cifs "//$HOST1/$SHARE" "$2" -o "$(options "$1")${3:+,$3}" && mountpoint -q "$2"
}

# detach DIR: all that was written is at the server afterwards
detach() {
    sync
    timeout 60 umount "$1"
}

# check NAME COMMAND...: ok when the command succeeds; else the last line it printed is the reason, and what the kernel
# has said meanwhile is told
check() {
    local name=$1 said heard; shift
    heard=$(dmesg | wc -l)
    if said=$("$@" 2>&1); then
        echo "ok $name"
    else
        said=$(tail -n 1 <<<"$said")
        echo "FAIL $name ${said:-$* failed}"
        dmesg | tail -n +$((heard + 1)) | tail -n 20
        return 1
    fi
}

# fail WORDS: the reason, for a function under check
fail() { echo "$*"; return 1; }

# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }

# order WORD...: has the host do it, and prints what came of it. Orders: cut N, mend N (the host's end of the Nth
# NIC), kill, serve (the server), sh COMMAND (in the directory that is served).
order() {
    local id=$BASHPID-$RANDOM$RANDOM
    printf '%s\n' "$*" > "/host/orders/$id.new"
    mv "/host/orders/$id.new" "/host/orders/$id.order"
    until [ -e "/host/orders/$id.done" ] || [ -e "/host/orders/$id.failed" ]; do sleep 0.02; done
    cat "/host/orders/$id".done "/host/orders/$id".failed 2>/dev/null
    [ -e "/host/orders/$id.done" ]
}

# at_host NAME...: the SHA-256 of files of the share, as the host sees them
at_host() { order sh "sha256sum $*" | cut -d' ' -f1; }
# here FILE: the SHA-256 of a file, read anew from the server
here() { cold; sha256sum "$1" | cut -d' ' -f1; }
# What this kernel has cached is forgotten.
cold() { sync; echo 3 > /proc/sys/vm/drop_caches; }

# noise BYTES SEED: bytes that no compression shortens and that a seed makes again
noise() { openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$2")" -iv 0 < /dev/zero 2>/dev/null | head -c "$1"; }

# What the kernel says of the first mount.
debug_data() { cat /proc/fs/cifs/DebugData; }
# connections: local and remote address of each connection to the server
connections() { ss -Htn state established '( dport = :445 )' | awk '{print $3, $4}'; }
