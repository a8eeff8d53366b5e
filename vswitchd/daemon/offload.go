package daemon

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"govs/datapath/ebpf"
	"govs/datapath/engine"
	"govs/datapath/port"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// An offload is the flow cache in front of the engine, which other_config:
// ebpf-offload governs. It is made when the first port on a network device is
// opened. All of it is under Switch.mu.
type offload struct {
	mode    desired.Offload
	cache   *ebpf.Cache // nil while there is none
	why     error       // why it could not be made
	cleanup bool        // nothing stays in place after the end
	swept   bool        // what another process left has been looked after
}

var errOffloadOff = errors.New("other_config:ebpf-offload is false")

// PinDir is the folder for what is to survive the process that runs a switch:
// one for each network namespace and run directory. Its file system belongs at
// /sys/fs/bpf.
func PinDir(runDir string) string {
	var ns uint64
	if st, err := os.Stat("/proc/thread-self/ns/net"); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			ns = sys.Ino
		}
	}
	h := fnv.New32a()
	h.Write([]byte(filepath.Clean(runDir)))
	return fmt.Sprintf("/sys/fs/bpf/govs/%d-%08x", ns, h.Sum32())
}

// guard is what keeps the host's stack from a device that is about to be
// opened: the flow cache, or nil for the port's own way.
func (s *Switch) guard() port.Guard {
	o := &s.offload
	if o.mode == desired.OffloadOff {
		return nil
	}
	if o.cache == nil && o.why == nil {
		log := s.o.Log("dpif_netdev")
		o.cache, o.why = ebpf.New(ebpf.Options{Log: log, Pins: s.o.Pins})
		if o.why != nil {
			text := fmt.Sprintf("packets take the way through user space: %v", o.why)
			if o.mode == desired.OffloadOn {
				log.Warn(text)
			} else {
				log.Info(text)
			}
			return nil
		}
		s.engine.SetFlowCache(o.cache)
	}
	if o.cache == nil {
		return nil
	}
	return o.cache
}

// setOffload follows other_config:ebpf-offload. The caller holds s.mu.
func (s *Switch) setOffload(mode desired.Offload) {
	o := &s.offload
	if o.mode == mode {
		return
	}
	o.mode = mode
	switch {
	case mode == desired.OffloadOff && o.cache != nil:
		s.engine.SetFlowCache(nil)
		o.cache.Close()
		o.cache = nil
	case mode != desired.OffloadOff && o.cache == nil:
		o.why = nil
		for _, p := range s.engine.Ports() {
			if _, ok := p.(port.Guarded); ok {
				s.guard() // takes the ports that are there
				break
			}
		}
	}
}

// settleOffload lets the cache take over from a process before, once the
// engine knows what to do with packets, and removes what that one has left.
func (s *Switch) settleOffload() {
	o := &s.offload
	switch {
	case o.cache != nil:
		o.cache.Commit()
	case !o.swept && s.o.Pins != "":
		_ = os.RemoveAll(s.o.Pins)
	}
	o.swept = true
}

// refreshOffload tells the cache of the devices that changed.
func (s *Switch) refreshOffload() {
	s.news.Lock()
	touched := maps.Clone(s.touched)
	clear(s.touched)
	s.news.Unlock()
	if s.offload.cache != nil && len(touched) > 0 {
		s.engine.RefreshPorts(func(p port.Port) bool {
			d, ok := p.(interface{ Index() int })
			return ok && touched[d.Index()]
		})
	}
}

// way says which way an interface's packets take, and why not the other.
func (s *Switch) way(i *ofproto.Iface) (way, why string) {
	if i.No == 0 || i.Port == nil {
		return "", ""
	}
	if _, ok := i.Port.(interface{ Index() int }); !ok {
		return "", "" // there is but one
	}
	err := s.engine.Uncached(i.No)
	switch {
	case err == nil:
		return "ebpf", ""
	case !errors.Is(err, engine.ErrNoFlowCache):
	case s.offload.mode == desired.OffloadOff:
		err = errOffloadOff
	case s.offload.why != nil:
		err = s.offload.why
	default:
		err = errors.New("no port on a network device yet")
	}
	return "userspace", err.Error()
}

// closeOffload ends the cache, after its ports.
func (s *Switch) closeOffload() {
	if s.offload.cache != nil {
		s.offload.cache.Close()
		s.offload.cache = nil
	}
}

// Cleanup says that nothing is to go on forwarding when the switch ends.
func (s *Switch) Cleanup() {
	s.mu.Lock()
	s.offload.cleanup = true
	s.mu.Unlock()
}
