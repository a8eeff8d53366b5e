package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// bridges are the names that lines give to bridges.
var bridges = []string{"k0", "k1", "a-name-of-more-"}

// A world is what random lines have made so far: they set the cost of a port
// only with the name of its own bridge, since what becomes of another name
// depends on the mode, and would show in all that follows.
type world struct {
	bridges map[string]bool
	member  map[string]string // a port's bridge
}

func (w *world) add(b, p string) {
	if w.bridges[b] && (p == "v0" || p == "w0") && w.member[p] == "" {
		w.member[p] = b
	}
}

func (w *world) remove(b, p string) {
	if w.member[p] == b {
		delete(w.member, p)
	}
}

func (w *world) deleted(b string) {
	delete(w.bridges, b)
	for p := range w.member {
		w.remove(b, p)
	}
}

// of is the bridge of a port.
func (w *world) of(p string) string {
	if b := w.member[p]; b != "" {
		return b
	}
	return "k0"
}

// randomLines makes n random command lines of names and numbers that make
// sense, and of some that do not.
func randomLines(r *rand.Rand, n int) []string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	bridge := func() string { return pick("k0", "k0", "k0", "k1", "k1", "other", "nix", "v1") }
	port := func() string { return pick("v0", "v0", "w0", "w0", "k1", "lo", "nix") }
	number := func(of ...int) string { return strconv.Itoa(of[r.IntN(len(of))]) }
	w := world{bridges: map[string]bool{"other": true}, member: map[string]string{}}
	var list []string
	for len(list) < n {
		var l string
		switch r.IntN(16) {
		case 0, 1:
			b := pick("k0", "k1", "v0")
			l = "addbr " + b
			w.bridges[b] = b != "v0"
		case 2:
			b := pick("k0", "k1", "nix")
			l = "delbr " + b
			w.deleted(b)
		case 3, 4, 5:
			b, p := bridge(), port()
			l = "addif " + b + " " + p
			w.add(b, p)
		case 6:
			b, p := bridge(), port()
			l = "delif " + b + " " + p
			w.remove(b, p)
		case 7:
			l = "stp " + bridge() + " " + pick("on", "off", "yes", "no", "1", "0", "x")
		case 8:
			p := port()
			l = fmt.Sprintf("setpathcost %s %s %s", w.of(p), p, number(0, 1, 100, 65535, 65536, -1))
		case 9:
			p := port()
			l = fmt.Sprintf("setportprio %s %s %s", w.of(p), p, number(0, 1, 32, 63, 64, 255))
		case 10:
			l = fmt.Sprintf("%s %s %s", pick("setfd", "sethello", "setmaxage", "setageing"), bridge(),
				number(0, 1, 2, 4, 6, 10, 11, 15, 30, 31, 40, 41, 300))
		case 11:
			l = fmt.Sprintf("setbridgeprio %s %s", bridge(), number(0, 1, 4096, 32768, 65535))
		case 12:
			l = "show " + bridge()
		case 13:
			l = "showstp " + bridge()
		case 14:
			l = "showmacs " + bridge()
		case 15:
			l = pick("show", "show", fmt.Sprintf("hairpin %s %s on", pick("k0", "k1", "nix", "v1"), pick("lo", "k1", "nix")))
		}
		list = append(list, l)
	}
	return list
}
