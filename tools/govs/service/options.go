package service

import (
	"path/filepath"
	"strings"

	"govs/internal/daemon"
)

// options are those of ovs-ctl(8). Each may stand before or after the command;
// --no-NAME is the opposite of --NAME.
type options struct {
	systemID, systemType, systemVersion string
	externalIDs                         []string

	noDatabase, noSwitch             bool
	deleteBridges, deleteTransient   bool
	noMonitor, noMlockall, noConfine bool
	noHostname                       bool

	user, cwd                        string
	databasePriority, switchPriority string
	databaseOptions, switchOptions   string

	dbFile, dbSock, dbSchema, extraDBs string
}

func defaults() options {
	return options{
		cwd:              "/",
		databasePriority: "-10",
		switchPriority:   "-10",
		dbFile:           filepath.Join(daemon.DBDir(), "conf.db"),
		dbSock:           filepath.Join(daemon.RunDir(), "db.sock"),
		dbSchema:         filepath.Join(daemon.PkgDataDir(), "vswitch.ovsschema"),
	}
}

// set takes an option of the command line; it reports false for one that is not
// known.
func (o *options) set(arg string) bool {
	name, value, valued := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	if valued {
		text := map[string]*string{
			"system-id": &o.systemID, "system-type": &o.systemType, "system-version": &o.systemVersion,
			"ovs-user": &o.user, "daemon-cwd": &o.cwd,
			"ovsdb-server-priority": &o.databasePriority, "ovs-vswitchd-priority": &o.switchPriority,
			"ovsdb-server-options": &o.databaseOptions, "ovs-vswitchd-options": &o.switchOptions,
			"db-file": &o.dbFile, "db-sock": &o.dbSock, "db-schema": &o.dbSchema, "extra-dbs": &o.extraDBs,
			// Accepted without effect: of commands that need no protocol.
			"protocol": new(string), "sport": new(string), "dport": new(string),
			"ovsdb-server-umask": new(string), "ovs-vswitchd-umask": new(string),
		}[name]
		switch {
		case name == "external-id":
			o.externalIDs = append(o.externalIDs, value)
		case text == nil:
			return false
		default:
			*text = value
		}
		return true
	}
	positive, negated := strings.CutPrefix(name, "no-")
	for _, f := range []struct {
		name string
		flag *bool
		when bool // what "--name" makes of the flag
	}{
		{"ovsdb-server", &o.noDatabase, false}, {"ovs-vswitchd", &o.noSwitch, false},
		{"delete-bridges", &o.deleteBridges, true}, {"delete-transient-ports", &o.deleteTransient, true},
		{"monitor", &o.noMonitor, false}, {"mlockall", &o.noMlockall, false},
		{"self-confinement", &o.noConfine, false}, {"record-hostname", &o.noHostname, false},
		{"force-corefiles", new(bool), true},
	} {
		if f.name == positive {
			*f.flag = f.when != negated
			return true
		}
	}
	return false
}

// daemons are those that the commands are about, in the order of their start.
func (o *options) daemons() (list []string) {
	if !o.noDatabase {
		list = append(list, database)
	}
	if !o.noSwitch {
		list = append(list, switchd)
	}
	return list
}

func help() string {
	return `govs ctl: controls the daemons, as ovs-ctl does
usage: govs ctl [OPTION...] COMMAND

Commands:
  start                      start ovsdb-server and ovs-vswitchd
  stop                       stop them
  restart                    stop and start them
  status                     tell whether they run
  version                    tell their versions
  delete-transient-ports     delete the ports with other_config:transient=true
  record-hostname-if-not-set set external-ids:hostname
  load-kmod                  do nothing: there is no kernel module
  force-reload-kmod          the same as restart

One of these options is due for "start" and "restart":
  --system-id=UUID           the system's identity
  --system-id=random         one that is made at random once, and kept

Other options for "start" and "restart":
  --system-type=TYPE --system-version=VERSION  set these columns
  --external-id="KEY=VALUE"                    set external-ids:KEY; may come again
  --delete-bridges                             delete all bridges before the switch starts
  --delete-transient-ports                     delete the transient ports before that
  --daemon-cwd=DIR                             working directory of the daemons (default /)
  --no-monitor                                 without processes that restart them
  --no-mlockall                                do not lock the switch's memory
  --no-record-hostname                         leave external-ids:hostname alone
  --ovs-user=USER[:GROUP]                      the daemons' user
  --ovsdb-server-priority=NICE --ovs-vswitchd-priority=NICE    (default -10)
  --ovsdb-server-options=OPTIONS --ovs-vswitchd-options=OPTIONS

Options for "start", "stop", "restart", "status" and "version":
  --no-ovsdb-server --no-ovs-vswitchd          leave that daemon alone

Files:
  --db-file=FILE     (default ` + defaults().dbFile + `)
  --db-sock=SOCKET   (default ` + defaults().dbSock + `)
  --db-schema=FILE   (default ` + defaults().dbSchema + `, or the schema that is built in)
  --extra-dbs=FILES  more databases, separated by spaces

  -h, --help     this text
  -V, --version  the version
`
}
