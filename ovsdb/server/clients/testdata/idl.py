"""Scenes for the Python IDL. Prints what it sees; the test compares that with
what it prints at another server, but for lines that begin with "#".

usage: idl.py REMOTE SCHEMA
"""

import sys

import ovs.db.idl
import ovs.poller

REMOTE, SCHEMA = sys.argv[1:]
Transaction = ovs.db.idl.Transaction


class Idl(ovs.db.idl.Idl):
    """An IDL that notes what it is told of."""

    def __init__(self, name, **tables):
        helper = ovs.db.idl.SchemaHelper(SCHEMA)
        for table, columns in tables.items():
            helper.register_columns(table, columns)
        self.name = name
        self.notes = []
        super().__init__(REMOTE, helper)

    def notify(self, event, row, updates=None):
        self.notes.append((event, row._table.name))


def run_until(idls, what, done):
    """Runs IDLs until done() holds; the test ends what hangs."""
    say("# until", what)
    while True:
        for idl in idls:
            idl.run()
        if done():
            return
        poller = ovs.poller.Poller()
        for idl in idls:
            idl.wait(poller)
        poller.timer_wait(5000)
        poller.block()


def names(idl, table="Bridge"):
    return sorted(r.name for r in idl.tables[table].rows.values())


def commit(txn):
    status = txn.commit_block()
    return "%s %s" % (Transaction.status_to_string(status), txn.get_error() or "")


def say(*args):
    print(*args, flush=True)


def change(idl, table, cond):
    """Changes a condition. (The number that cond_change returns is too large
    in this version of the IDL.)"""
    before = idl.cond_seqno
    idl.cond_change(table, cond)
    run_until([idl], "the condition", lambda: idl.cond_seqno > before)


def ask(what):
    """Has the test do something to the server."""
    say("ask " + what)
    assert sys.stdin.readline().strip() == what


ALL = dict(
    Open_vSwitch=["bridges", "next_cfg", "external_ids"],
    Bridge=["name", "ports", "external_ids", "other_config", "flood_vlans", "fail_mode", "mcast_snooping_enable"],
    Port=["name", "interfaces", "tag", "trunks"],
    Interface=["name", "type", "mtu_request", "statistics"],
)
a = Idl("a", **ALL)
run_until([a], "contents", lambda: a.has_ever_connected())
say("connected", len(a.tables["Open_vSwitch"].rows))

# Inserts that refer to one another.
txn = Transaction(a)
root = txn.insert(a.tables["Open_vSwitch"])
bridges = []
for i in range(5):
    intf = txn.insert(a.tables["Interface"])
    intf.name = "br%d" % i
    intf.type = "internal"
    port = txn.insert(a.tables["Port"])
    port.name = "br%d" % i
    port.interfaces = [intf]
    port.trunks = list(range(i))
    br = txn.insert(a.tables["Bridge"])
    br.name = "br%d" % i
    br.ports = [port]
    br.external_ids = {"n": str(i), "even": str(i % 2 == 0)}
    bridges.append(br)
root.bridges = bridges
txn.add_comment("five bridges")
say("insert", commit(txn))
run_until([a], "bridges", lambda: len(a.tables["Bridge"].rows) == 5)
say(names(a), names(a, "Port"), names(a, "Interface"))
root = next(iter(a.tables["Open_vSwitch"].rows.values()))
say([(b.name, b.ports[0].name, b.ports[0].interfaces[0].type, sorted(b.external_ids.items())) for b in sorted(root.bridges, key=lambda b: b.name)])

# A condition, and its changes.
c = Idl("c", Bridge=["name", "external_ids"], Port=["name"])
c.cond_change("Bridge", [["name", "==", "br1"]])
c.cond_change("Port", [False])
run_until([c], "contents", lambda: c.has_ever_connected())
run_until([c], "the condition", lambda: names(c) == ["br1"])
say("br1 alone", names(c), names(c, "Port"))
for cond in ([["external_ids", "includes", ["map", [["even", "True"]]]]],
             [["name", "==", "br1"], ["name", "==", "br3"]],
             [["external_ids", "excludes", ["map", [["even", "True"]]]], ["name", "!=", "br4"]],
             [False], [True], [["name", "==", "nobody"]]):
    c.notes.clear()
    change(c, "Bridge", cond)
    say(cond, names(c), sorted(c.notes))

# Rows that begin and cease to meet a condition when others change them.
change(c, "Bridge", [["external_ids", "includes", ["map", [["n", "9"]]]]])
for n in ("9", "8"):
    txn = Transaction(a)
    br = next(b for b in a.tables["Bridge"].rows.values() if b.name == "br2")
    br.setkey("external_ids", "n", n)
    say("setkey", commit(txn))
    run_until([a, c], "br2", lambda: names(c) == (["br2"] if n == "9" else []))
    say(n, names(c))

# Partial updates of maps and sets, and increments.
txn = Transaction(a)
root = next(iter(a.tables["Open_vSwitch"].rows.values()))
br = next(b for b in a.tables["Bridge"].rows.values() if b.name == "br0")
br.delkey("external_ids", "n")
br.setkey("other_config", "hwaddr", "00:00:00:00:00:01")
for vlan in (1, 5, 4095, 9):
    br.addvalue("flood_vlans", vlan)
br.fail_mode = "secure"
br.mcast_snooping_enable = True
root.increment("next_cfg")
say("partial", commit(txn), txn.get_increment_new_value())
run_until([a], "next_cfg", lambda: root.next_cfg == 1)
say(sorted(br.external_ids.items()), br.other_config, br.flood_vlans, br.fail_mode, br.mcast_snooping_enable)

# verify: who comes second is told to try again, and does.
b = Idl("b", **ALL)
run_until([b], "contents", lambda: b.has_ever_connected())


def verified(idl, value):
    txn = Transaction(idl)
    row = next(iter(idl.tables["Open_vSwitch"].rows.values()))
    row.verify("next_cfg")
    row.next_cfg = value(row.next_cfg)
    return txn


say("first", commit(verified(a, lambda n: n + 10)))
txn = verified(b, lambda n: n + 100)  # b has not run: it holds the old value
status = txn.commit()
while status == Transaction.INCOMPLETE:
    b.run()
    status = txn.commit()
say("second", Transaction.status_to_string(status))
tries = 0
while True:
    tries += 1
    status = verified(b, lambda n: n + 100).commit_block()
    if status != Transaction.TRY_AGAIN:
        break
say("then", Transaction.status_to_string(status), tries < 5)
run_until([a, b], "the sum", lambda: next(iter(a.tables["Open_vSwitch"].rows.values())).next_cfg == 111)
say("sum", 111)

# Errors come back as texts.
txn = Transaction(a)
txn.insert(a.tables["Bridge"]).name = "br0"
root = next(iter(a.tables["Open_vSwitch"].rows.values()))
root.bridges = root.bridges + [r for r in txn._txn_rows.values() if r._table.name == "Bridge" and r._data is None]
say("duplicate", ovs.db.idl.Transaction.status_to_string(txn.commit_block()))
txn.abort()

# Locks.
a.set_lock("lock")
run_until([a], "the lock", lambda: a.has_lock)
b.set_lock("lock")
run_until([a, b], "contention", lambda: b.is_lock_contended)
say("lock", a.has_lock, b.has_lock, b.is_lock_contended)
txn = Transaction(b)
next(iter(b.tables["Open_vSwitch"].rows.values())).next_cfg = 5
say("without the lock", commit(txn))
txn = Transaction(a)
next(iter(a.tables["Open_vSwitch"].rows.values())).next_cfg = 6
say("with it", commit(txn))
a.set_lock(None)
run_until([a, b], "the lock's way", lambda: b.has_lock)
say("lock", a.has_lock, b.has_lock, b.is_lock_contended)
txn = Transaction(b)
next(iter(b.tables["Open_vSwitch"].rows.values())).next_cfg = 7
say("with it", commit(txn))
run_until([a, b], "7", lambda: next(iter(a.tables["Open_vSwitch"].rows.values())).next_cfg == 7)

# The server is killed and comes back: clients reconnect, with their conditions
# and locks.
change(c, "Bridge", [["name", "==", "br3"]])
run_until([a, b], "what is on its way", lambda: True)
for idl in (a, b, c):
    idl.notes.clear()
connections = [i._session.get_seqno() for i in (a, b, c)]
ask("restart")
run_until([a, b, c], "reconnection", lambda: all(
    i._session.is_connected() and i._session.get_seqno() > n + 1 and i.state == i.IDL_S_MONITORING for i, n in zip((a, b, c), connections)))
say("# created anew:", sum(1 for i in (a, b, c) for n in i.notes if n[0] == "create" and n[1] != "Database"))
txn = Transaction(a)
next(iter(a.tables["Open_vSwitch"].rows.values())).next_cfg = 8
say("again", commit(txn))
run_until([a, b, c], "8", lambda: [r.next_cfg for r in b.tables["Open_vSwitch"].rows.values()] == [8])
run_until([a, b, c], "the lock", lambda: b.has_lock)
run_until([a, b, c], "br3", lambda: names(c) == ["br3"])
say("after the restart", names(a), names(b), names(c), b.has_lock)

# Everything goes.
txn = Transaction(a)
next(iter(a.tables["Open_vSwitch"].rows.values())).delete()
say("delete", commit(txn))
run_until([a, b, c], "nothing", lambda: not any(i.tables["Bridge"].rows or i.tables["Port"].rows for i in (a, b, c)))
say("nothing is left", names(a), names(a, "Port"), names(a, "Interface"), names(c))
for idl in (a, b, c):
    idl.close()
