# govs: Open vSwitch in Go. `make help` lists what there is.

GO       ?= go
PREFIX   ?= /usr
DESTDIR  ?=
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X govs/internal/daemon.Build=$(VERSION)
FUZZTIME ?= 3s

SBIN := ovsdb/ovsdb-server vswitchd/ovs-vswitchd brcompat/ovs-brcompatd
BIN  := ctl/ovs-vsctl ctl/ovsdb-tool ctl/ovsdb-client ctl/ovs-appctl brcompat/brcompat tools/govs
MAINS := $(SBIN) $(BIN)

.PHONY: all build setup setup-test test test-services fuzz lint bench bench-ctl bench-ovsdb bench-brctl oracle oracle-brctl oracle-ctl oracle-datapath torture demo demo-brctl demo-services install clean help bench-datapath bench-services test-datapath

all: build

build: ## build every binary into bin/
	@command -v $(GO) >/dev/null || { echo "govs needs Go 1.26: see README.md" >&2; exit 1; }
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./,$(MAINS))

setup:
	@tools/debs/setup run

setup-test:
	@tools/debs/setup test

test: setup-test build ## install what the tests need, then run them all with -race
	@tools/lint/test
	@$(MAKE) --no-print-directory fuzz

test-services: setup-test ## bonds, LACP, spanning trees, faults, mirrors, QoS, exporters and tunnels, with the switches and collectors at the other ends
	$(GO) test -race ./vswitchd/bond ./vswitchd/lacp ./vswitchd/bfd ./vswitchd/cfm ./vswitchd/lldp ./vswitchd/bpdu ./vswitchd/stp ./vswitchd/rstp ./datapath/shape ./vswitchd/qos ./datapath/tunnel ./vswitchd/underlay
	$(GO) test -race -v -run 'Bond|Ring|Mirror|Balance|QoS|Tunnel|BFD|CFM|LLDP|Export|NetFlow|FlowSamples|Sampled|Pmacct' ./vswitchd/daemon ./vswitchd/xlate ./datapath/engine

fuzz: ## run every fuzz target for FUZZTIME (3s)
	@tools/lint/fuzz $(FUZZTIME)

lint: ## gofmt, vet, staticcheck, generated files, floors of the architecture
	@tools/lint/lint

bench: setup-test build ## compare with Debian's C programs and the Linux bridge, side by side
	$(GO) run ./tools/bench

bench-ctl: setup-test build ## what a command costs as a whole process, ours against Debian's
	$(GO) run ./tools/bench -only ctl

bench-datapath: setup-test build ## the packet engine, with the eBPF flow cache and without, against Debian's switch and the Linux bridge; 1,000 ports; a soak
	$(GO) run ./tools/bench -only datapath

test-datapath: setup-test build ## as root: ports, the equality of both ways, policing, what comes and goes under traffic, restarts
	$(GO) test -count=1 -v ./datapath/port/... ./datapath/ebpf ./datapath/engine ./vswitchd/daemon

bench-services: setup-test build ## tunnels, what mirrors and sampling cost, convergence, QoS, against Debian's switch: 18 minutes
	$(GO) run ./tools/bench -only services -rounds 2 -seconds 2

bench-ovsdb: setup-test build ## the database server against Debian's, every measure, some minutes
	$(GO) run ./tools/bench -only ovsdb

bench-brctl: setup-test build ## brctl on govs and on bridges of the kernel's, and what the launcher costs
	$(GO) run ./tools/brctl -bench

oracle: setup-test build ## random transactions and monitors, ours against Debian's ovsdb-server, for a minute
	$(GO) run ./tools/oracle -for 1m

oracle-brctl: setup-test build ## brctl's command lines on a kernel bridge and on govs, in all modes
	$(GO) run ./tools/brctl -oracle

oracle-ctl: setup-test build ## command lines through our commands and Debian's, on both ovsdb-servers, one or two minutes
	$(GO) run ./tools/oracle/ctl

oracle-datapath: setup-test build ## random VLAN configurations and packets, ours against Debian's ovs-vswitchd, for a minute
	$(GO) run ./tools/oracle/datapath -for 1m

torture: setup-test build ## kills, power cuts, damaged files, full disks: a minute of it for ovsdb-server
	$(GO) run ./tools/torture -for 1m

demo: setup build ## the main job, step by step, in namespaces of its own
	@tools/demo/demo

demo-brctl: setup build ## brctl, a distro script, ifup and ifdown, busybox and qemu-bridge-helper on the switch
	@CGO_ENABLED=0 GOARCH=386 $(GO) build -buildvcs=false -trimpath -o out/caller-386 ./brcompat/brcompatd/testdata/caller
	@tools/demo/demo steps-brctl

demo-services: setup build ## bonds with LACP, mirrors, spanning trees, exporters and QoS, with Debian's switch and collectors at the other end
	@tools/demo/demo steps-services

install: build ## install below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/openvswitch
	install -m 755 $(addprefix bin/,$(notdir $(SBIN))) $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(addprefix bin/,$(notdir $(BIN))) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 schema/vswitch/vswitch.ovsschema $(DESTDIR)$(PREFIX)/share/openvswitch/
	install -d $(DESTDIR)$(PREFIX)/share/openvswitch/scripts $(DESTDIR)$(PREFIX)/lib/systemd/system
	ln -sf ../../../bin/govs $(DESTDIR)$(PREFIX)/share/openvswitch/scripts/ovs-ctl
	for u in tools/govs/service/units/*.service; do \
		sed 's,/usr/bin/,$(PREFIX)/bin/,; s,/usr/sbin/,$(PREFIX)/sbin/,' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/} || exit 1; done

	bin/govs man --into=$(DESTDIR)$(PREFIX)/share/man
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	bin/govs completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_govs
	for p in $$(bin/govs man); do \
		bin/govs completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p && \
		bin/govs completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish || exit 1; done

clean: ## remove what was built
	rm -rf bin out

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
