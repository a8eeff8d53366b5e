package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/pcap"
)

// verbsDrop adds drops/show: what was discarded, when, where and why, all or
// that which entered at one port, with the megaflow that did it and what the
// present configuration says of such packets. --pcap writes the beginnings of
// the frames to a file, too.
func (s *Switch) verbsDrop(r Registrar) {
	r.Register("drops/show", "[--pcap FILE] [port]", 0, 3, s.reading(s.dropsShow))
	r.Register("drop/show", "[--pcap FILE] [port]", 0, 3, s.reading(s.dropsShow))
}

func (s *Switch) dropsShow(args []string) (string, error) {
	file := ""
	if len(args) > 0 && args[0] == "--pcap" {
		if len(args) < 2 {
			return "", errors.New("--pcap: no file given")
		}
		file, args = args[1], args[2:]
	}
	log, samples := s.engine.Drops(), s.engine.DropSamples()
	switch len(args) {
	case 0:
	case 1:
		_, i := s.applier.Switch.Find(args[0])
		if i == nil {
			return "", errors.New("no such port")
		}
		if log = s.engine.PortDrops(i.No); log == nil {
			return "", errors.New("the port is not open")
		}
		samples = log.Samples()
	default:
		return "", errors.New("more than one port given")
	}
	if file != "" {
		if err := writeSamples(file, samples); err != nil {
			return "", err
		}
	}
	return s.showDrops(log, samples), nil
}

func writeSamples(path string, samples []drop.Sample) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(pcap.Header())
	w := pcap.NewWriter(f)
	for n := 0; n < len(samples) && err == nil; n++ {
		err = w.Write(samples[n].Time, samples[n].Head, samples[n].Len)
	}
	return errors.Join(err, f.Close())
}

// perReason is how many samples of a reason are shown, the last ones.
const perReason = 32

func (s *Switch) showDrops(log *drop.Log, samples []drop.Sample) string {
	var b strings.Builder
	names := s.portNames()
	named := func(no flow.PortNo) string { return portName(names, no) }
	byReason := make(map[drop.Reason][]drop.Sample)
	for _, sample := range samples {
		byReason[sample.Reason] = append(byReason[sample.Reason], sample)
	}
	for _, reason := range drop.Reasons() {
		total := log.Total(reason)
		if total == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %d\n", reason, total)
		list := byReason[reason]
		for _, d := range list[max(0, len(list)-perReason):] {
			fmt.Fprintf(&b, "  %s in:%s", d.Time.Format("15:04:05.000"), named(d.Port))
			if d.Out != 0 {
				fmt.Fprintf(&b, " out:%s", named(d.Out))
			}
			fmt.Fprintf(&b, " len:%d %s\n", d.Len, keyText(&d.Key, named))
			if d.Mask != nil {
				fmt.Fprintf(&b, "    flow: %s\n", flow.Format(&d.Key, d.Mask, flow.Style{Name: named}))
			}
			for _, why := range s.explain(&d) {
				fmt.Fprintf(&b, "    %s\n", why)
			}
		}
	}
	return b.String()
}

// explain is what the present configuration says of such packets, where it is
// the bridge that dropped it.
func (s *Switch) explain(d *drop.Sample) (why []string) {
	if !d.Reason.OfPipeline() {
		return nil
	}
	bridge := ""
	var res engine.Result
	s.engine.Ask(&engine.Request{Key: &d.Key, Now: s.o.Clock.Now(), Note: func(b, text string) {
		if b != "" {
			bridge = b
		} else {
			why = append(why, "bridge "+bridge+": "+strings.Trim(text, "-<> "))
		}
	}}, &res)
	return why
}

func portName(names map[flow.PortNo]string, no flow.PortNo) string {
	if name, ok := names[no]; ok {
		return name
	}
	return fmt.Sprint(no)
}
