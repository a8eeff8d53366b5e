#!/bin/sh
# Runs Debian's Mininet over the programs in a folder, within namespaces of its
# own (network, mounts, process ids): Mininet ends processes by their names,
# empties /tmp and raises limits of the kernel, and nobody else shall feel it.
#
# usage: unshare -n -m -p -f --mount-proc mininet.sh PROGRAMS ROOT
#   PROGRAMS: folder of ovs-vsctl, ovsdb-server and so on
#   ROOT: where Debian's package mininet is unpacked
set -e
mount --make-rprivate /
mount -t sysfs sysfs /sys 2>/dev/null || true
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys

dir=/mnt # of this namespace
mount -t tmpfs tmpfs $dir
mkdir $dir/bin $dir/python $dir/run
cp "$1"/* "$2"/usr/bin/mn "$2"/usr/bin/mnexec $dir/bin/
cp -r "$2"/usr/lib/python3/dist-packages/mininet $dir/python/
mount -t tmpfs tmpfs /tmp
ip link set lo up
cd $dir

# Of Open vSwitch's programs there are only those of the folder.
export PATH=$dir/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=$dir/python
export OVS_RUNDIR=$dir/run OVS_DBDIR=$dir/run OVS_LOGDIR=$dir/run OVS_SYSCONFDIR=$dir/run OVS_SYSLOG_METHOD=null
python3 -c 'import mininet.net' || exit 77

ovsdb-tool create run/conf.db
ovsdb-server --remote=punix:$dir/run/db.sock --pidfile --detach --no-chdir --log-file -vconsole:off
ovs-vsctl --no-wait init
ovs-vswitchd --pidfile --detach --no-chdir --log-file -vconsole:off
status=0
python3 bin/mn --controller none --switch ovs,datapath=user,failMode=standalone --topo tree,2,3 --test pingall || status=$?
echo "bridges left: $(ovs-vsctl list-br | wc -l)"
ovs-appctl -t ovs-vswitchd exit
ovs-appctl -t ovsdb-server exit
[ $status = 0 ] || cat run/*.log
exit $status
