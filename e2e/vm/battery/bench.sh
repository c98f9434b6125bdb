# Figures of one mount ($VARIANT): `figure NAME VALUE CPU`, CPU being the server's seconds for it. Not part of the
# battery: `cargo xtask bench kernel` runs it.
. /host/battery/lib.sh
MIB=${MIB:-256} FILES=2000

now() { date +%s.%N; }
# measured NAME COMMAND...: the seconds it took
measured() {
    local name=$1 cpu from; shift
    cpu=$(order cpu); from=$(now)
    "$@" > /tmp/said 2>&1 || { tail -n 3 /tmp/said; echo "FAIL $name"; exit 1; }
    echo "figure $name $(echo "$(now) $from" | awk '{print $1 - $2}') $(echo "$(order cpu) $cpu" | awk '{print $1 - $2}')"
}
# flow NAME FIELD FIO-WORDS...: bytes or requests a second
flow() {
    local name=$1 field=$2 cpu; shift 2
    cold; cpu=$(order cpu)
    fio --name=f --directory=$A --filename=flow --size=${MIB}m --output-format=json "$@" > /tmp/said 2>&1 || { tail -n 3 /tmp/said; echo "FAIL $name"; exit 1; }
    python3 -c "
import json
job = json.load(open('/tmp/said'))['jobs'][0]
print('figure $name', sum(job[way]['$field'] for way in ('read', 'write')), $(order cpu) - $cpu)"
}

python3 -c "
import os
for n in range(1, $FILES + 1):
    d = '/tmp/tree/d%d' % (n // 50)
    os.makedirs(d, exist_ok=True)
    open('%s/file%d' % (d, n), 'wb').write(b'x' * (500 + n * 5))"
tar -cf /tmp/tree.tar -C /tmp tree

attach $VARIANT $A || { echo 'FAIL mount'; exit 1; }
flow write_1m_buffered bw_bytes --rw=write --bs=1M --end_fsync=1
flow read_1m_buffered bw_bytes --rw=read --bs=1M
flow write_1m_direct bw_bytes --rw=write --bs=1M --direct=1
flow read_1m_direct bw_bytes --rw=read --bs=1M --direct=1
flow read_1m_direct_8 bw_bytes --rw=read --bs=1M --direct=1 --ioengine=libaio --iodepth=8
flow write_1m_direct_8 bw_bytes --rw=write --bs=1M --direct=1 --ioengine=libaio --iodepth=8
flow read_4k_random iops --rw=randread --bs=4k --direct=1 --runtime=5 --time_based
flow read_4k_random_16 iops --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=16 --runtime=5 --time_based
flow write_4k_random iops --rw=randwrite --bs=4k --direct=1 --runtime=5 --time_based
untar() { tar -xf /tmp/tree.tar -C $A --no-same-owner; }
walk() { find $A/tree -type f -printf '%s\n' | awk '{n += 1} END {exit n != '$FILES'}'; }
read_all() { find $A/tree -type f -exec cat {} + | wc -c | grep -qx "$(cat /tmp/tree/*/* | wc -c)"; }
measured untar_2000 untar
cold; measured walk_2000 walk
cold; measured read_2000 read_all
measured remove_2000 rm -r $A/tree
detach $A
echo end
