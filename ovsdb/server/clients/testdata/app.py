"""Commands of ovsdbapp's Open_vSwitch API. Prints their results, without UUIDs.

usage: app.py REMOTE SCHEMA
"""

import sys
import threading
import uuid

import ovs.db.idl
import ovs.poller
from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.backend.ovs_idl import idlutils
from ovsdbapp.schema.open_vswitch import impl_idl

REMOTE = sys.argv[1]


def say(*args):
    print(*args, flush=True)


def plain(v):
    """A value without what differs from server to server."""
    if isinstance(v, uuid.UUID):
        return "UUID"
    if isinstance(v, dict):
        return sorted((k, plain(x)) for k, x in v.items())
    if isinstance(v, (list, tuple)):
        v = [plain(x) for x in v]
        return sorted(v) if all(isinstance(x, str) for x in v) else v
    if hasattr(v, "uuid"):
        return "row"
    return v


def switch():
    """Does what commands wait for: the switch that sets cur_cfg."""
    helper = ovs.db.idl.SchemaHelper(sys.argv[2])
    helper.register_columns("Open_vSwitch", ["next_cfg", "cur_cfg"])
    helper.register_columns("Interface", ["ofport"])
    db = ovs.db.idl.Idl(REMOTE, helper)
    while True:
        db.run()
        behind = [row for row in db.tables["Open_vSwitch"].rows.values() if row.cur_cfg != row.next_cfg]
        if behind:
            for row in behind:
                txn = ovs.db.idl.Transaction(db)
                row.cur_cfg = row.next_cfg
                for number, port in enumerate(db.tables["Interface"].rows.values()):
                    port.ofport = number + 1
                txn.commit_block()  # it reads what has come meanwhile, too
            continue
        poller = ovs.poller.Poller()
        db.wait(poller)
        poller.block()


threading.Thread(target=switch, daemon=True).start()
idl = connection.OvsdbIdl.from_server(REMOTE, "Open_vSwitch")
conn = connection.Connection(idl=idl, timeout=30)
api = impl_idl.OvsdbIdl(conn)


def do(name, *args, **kw):
    """Runs one command, and says what came of it."""
    try:
        result = getattr(api, name)(*args, **kw).execute(check_error=True)
    except Exception as e:  # what the command says is compared
        text = str(e)
        if '"error":' in text:  # the details name rows
            text = text[text.index('"error":'):]
        result = "%s: %s" % (type(e).__name__, text)
    say(name, args, sorted(kw.items()), "->", plain(result))
    return result


do("add_br", "br0")
do("add_br", "br0")
do("add_br", "br0", may_exist=False)
do("add_br", "br1", datapath_type="netdev")
do("br_exists", "br0")
do("br_exists", "br9")
do("list_br")
do("add_port", "br0", "p0")
do("add_port", "br0", "p1")
do("add_port", "br0", "p1", may_exist=False)
do("add_port", "br9", "p2")
do("list_ports", "br0")
do("list_ifaces", "br0")
do("port_to_br", "p1")
do("iface_to_br", "p0")
do("iface_to_br", "p9")
do("db_set", "Interface", "p0", ("type", "internal"), ("external_ids", {"iface-id": "abc", "attached-mac": "00:00:00:00:00:01"}))
do("db_set", "Port", "p0", ("tag", 7))
do("db_set", "Port", "p0", ("tag", 4097))
do("db_set", "Port", "p1", ("trunks", [1, 2, 3]))
do("db_add", "Port", "p1", "trunks", 9)
do("db_remove", "Port", "p1", "trunks", 2)
do("db_get", "Port", "p1", "trunks")
do("db_get", "Port", "p0", "tag")
do("db_get", "Interface", "p0", "external_ids")
do("db_get", "Port", "p9", "tag")
do("db_clear", "Port", "p0", "tag")
do("db_get", "Port", "p0", "tag")
do("db_list", "Port", ["p0", "p1"], columns=["name", "tag", "trunks", "interfaces"])
do("db_list", "Interface", columns=["name", "type", "external_ids"], if_exists=True)
do("db_list", "Port", ["p9"], if_exists=True)
do("db_find", "Interface", ("type", "=", "internal"), columns=["name"])
do("db_find", "Interface", ("external_ids", "=", {"iface-id": "abc"}), columns=["name"])
do("db_find", "Port", ("trunks", ">", [1]), columns=["name"])
do("br_set_external_id", "br0", "k", "v")
do("br_get_external_id", "br0", "k")
do("set_controller", "br0", ["tcp:127.0.0.1:6633", "tcp:127.0.0.1:6653"])
do("get_controller", "br0")
do("del_controller", "br0")
do("get_controller", "br0")
do("set_fail_mode", "br0", "secure")
do("db_get", "Bridge", "br0", "fail_mode")
do("set_fail_mode", "br0", "strange")
do("add_manager", "ptcp:0:127.0.0.1")
do("get_manager")
do("remove_manager", "ptcp:0:127.0.0.1")

# Several commands in one transaction: all or nothing.
try:
    with api.transaction(check_error=True) as t:
        t.add(api.add_br("br2"))
        t.add(api.add_port("br2", "p20"))
        t.add(api.db_set("Port", "nobody", ("tag", 1)))
except Exception as e:
    say("transaction", type(e).__name__)
do("list_br")
with api.transaction(check_error=True) as t:
    t.add(api.add_br("br2"))
    t.add(api.add_port("br2", "p20"))
    t.add(api.db_set("Interface", "p20", ("type", "internal")))
    t.add(api.del_port("p0", bridge="br0"))
do("list_br")
do("list_ports", "br2")
do("list_ports", "br0")
do("del_br", "br9")
do("del_br", "br9", if_exists=False)
for br in ("br0", "br1", "br2"):
    do("del_br", br)
do("db_list", "Port", columns=["name"])
say(len(idlutils.row_by_value(api.idl, "Open_vSwitch", "bridges", []).bridges))
conn.stop()
