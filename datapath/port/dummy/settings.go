package dummy

import (
	"net/netip"
	"slices"

	"govs/datapath/pcap"
)

// Settings are what can be changed about a port while it runs. A file is
// created where there is none, and appended to where there is one; both may be
// the same.
type Settings struct {
	RxPcap  string // file to write what is received to, in pcap format; "" is none
	TxPcap  string // likewise for what is sent
	Listen  string // passive stream where other dummies connect: punix:FILE, ptcp:PORT; "" is none
	Connect string // active stream to another dummy: unix:FILE, tcp:HOST:PORT; "" is none
	Ifindex int    // as State tells it
}

// Parse reads the options of an interface of type dummy: pcap (both files),
// rxq_pcap, tx_pcap, pstream, stream, ifindex.
func Parse(options map[string]string) Settings {
	s := Settings{
		RxPcap: options["rxq_pcap"], TxPcap: options["tx_pcap"],
		Listen: options["pstream"], Connect: options["stream"],
		Ifindex: number(options["ifindex"]),
	}
	if both := options["pcap"]; both != "" {
		s.RxPcap, s.TxPcap = both, both
	}
	return s
}

func number(text string) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<24 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// Text is what of the settings dpctl/show tells, "" for nothing.
func (s Settings) Text(options map[string]string) string {
	text := ""
	for _, key := range []string{"ifindex", "pstream", "stream"} {
		if v := options[key]; v != "" {
			if text != "" {
				text += ", "
			}
			text += key + "=" + v
		}
	}
	return text
}

// Configure changes the settings. What could be done is done; the error tells
// what could not: a file, or where to listen.
func (p *Port) Configure(s Settings) error {
	p.mu.Lock()
	old := p.set
	p.set = s
	var err error
	if s.RxPcap != old.RxPcap || s.TxPcap != old.TxPcap {
		_ = p.closeFiles()
		err = p.openFiles(s)
	}
	var gone *link
	if s.Listen != old.Listen || s.Connect != old.Connect {
		gone, p.link = p.link, nil
	}
	p.mu.Unlock()
	gone.close()
	if s.Ifindex != old.Ifindex {
		p.change(func(st *portState) { st.Ifindex = s.Ifindex })
	}
	if s.Listen == old.Listen && s.Connect == old.Connect || s.Listen == "" && s.Connect == "" {
		return err
	}
	l, lerr := newLink(p, s)
	if lerr != nil {
		return lerr
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		l.close()
	} else {
		p.link = l
	}
	return err
}

func (p *Port) openFiles(s Settings) (err error) {
	if s.RxPcap != "" {
		if p.rx, err = pcap.Append(s.RxPcap); err != nil {
			return err
		}
	}
	switch {
	case s.TxPcap == "":
	case s.TxPcap == s.RxPcap:
		p.tx = p.rx
	default:
		p.tx, err = pcap.Append(s.TxPcap)
	}
	return err
}

// SetAddress gives the port an IP address with the length of its network's
// prefix, in place of the one of that family. The port itself makes no use of it.
func (p *Port) SetAddress(a netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = append(slices.DeleteFunc(p.addresses, func(b netip.Prefix) bool { return a.Addr().Is4() == b.Addr().Is4() }), a)
}

// Addresses are what SetAddress set.
func (p *Port) Addresses() []netip.Prefix {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.addresses)
}

// Connection is the state of the stream to another dummy: "connected" or
// "disconnected", "unknown" where the port makes no connection of its own.
func (p *Port) Connection() string {
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	return l.state()
}
