package stream

import (
	"crypto/tls"
	"fmt"
	"strings"
)

var protocolVersions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

// apply sets the protocol versions and cipher suites of the options.
func (o *TLSOptions) apply(c *tls.Config) error {
	c.MinVersion = tls.VersionTLS12
	if err := o.applyProtocols(c); err != nil {
		return err
	}
	if err := checkSuites13(o.CipherSuites); err != nil {
		return err
	}
	suites, err := parseCiphers(o.Ciphers)
	if err != nil {
		return err
	}
	c.CipherSuites = suites
	return nil
}

func (o *TLSOptions) applyProtocols(c *tls.Config) error {
	words := strings.FieldsFunc(o.Protocols, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == ':' })
	if len(words) == 0 {
		return nil
	}
	enabled := map[uint16]bool{}
	for _, w := range words {
		name, plus := strings.CutSuffix(w, "+")
		v, ok := protocolVersions[name]
		if !ok {
			return fmt.Errorf("%s: SSL protocol not recognized", w)
		}
		enabled[v] = true
		if plus {
			for up := v; up <= tls.VersionTLS13; up++ {
				enabled[up] = true
			}
		}
	}
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS10
	for v := range enabled {
		c.MinVersion, c.MaxVersion = min(c.MinVersion, v), max(c.MaxVersion, v)
	}
	for v := c.MinVersion; v <= c.MaxVersion; v++ {
		if !enabled[v] {
			return fmt.Errorf("%s: SSL protocols with a gap between them are not supported", o.Protocols)
		}
	}
	return nil
}

// tls13Suites are the suites of TLS 1.3; Go enables them all and does not choose.
var tls13Suites = map[string]bool{
	"TLS_AES_128_GCM_SHA256": true, "TLS_AES_256_GCM_SHA384": true, "TLS_CHACHA20_POLY1305_SHA256": true,
}

func checkSuites13(s string) error {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		if !tls13Suites[w] {
			return fmt.Errorf("%s: TLS 1.3 ciphersuite is not supported", w)
		}
	}
	return nil
}

// cipher describes one suite as OpenSSL names and groups it.
type cipher struct {
	id   uint16
	name string
	tags string // space-separated groups
}

var ciphers = []cipher{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", "HIGH ECDHE EECDH kEECDH aECDSA ECDSA AES AES256 AESGCM SHA384 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", "HIGH ECDHE EECDH kEECDH aRSA RSA AES AES256 AESGCM SHA384 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", "HIGH ECDHE EECDH kEECDH aECDSA ECDSA CHACHA20 SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", "HIGH ECDHE EECDH kEECDH aRSA RSA CHACHA20 SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", "HIGH ECDHE EECDH kEECDH aECDSA ECDSA AES AES128 AESGCM SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", "HIGH ECDHE EECDH kEECDH aRSA RSA AES AES128 AESGCM SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", "HIGH ECDHE EECDH kEECDH aECDSA ECDSA AES AES256 SHA SHA1 TLSv1 TLSv1.0"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", "HIGH ECDHE EECDH kEECDH aRSA RSA AES AES256 SHA SHA1 TLSv1 TLSv1.0"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", "HIGH ECDHE EECDH kEECDH aECDSA ECDSA AES AES128 SHA SHA1 TLSv1 TLSv1.0"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", "HIGH ECDHE EECDH kEECDH aRSA RSA AES AES128 SHA SHA1 TLSv1 TLSv1.0"},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", "HIGH kRSA aRSA RSA AES AES256 AESGCM SHA384 TLSv1.2"},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", "HIGH kRSA aRSA RSA AES AES128 AESGCM SHA256 TLSv1.2"},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", "HIGH kRSA aRSA RSA AES AES256 SHA SHA1 SSLv3"},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", "HIGH kRSA aRSA RSA AES AES128 SHA SHA1 SSLv3"},
}

// absentGroups are OpenSSL groups of which Go has no suite: nothing to add,
// nothing to take away.
var absentGroups = map[string]bool{
	"aNULL": true, "eNULL": true, "NULL": true, "MD5": true, "RC4": true, "DES": true, "3DES": true, "LOW": true,
	"MEDIUM": true, "EXP": true, "EXPORT": true, "PSK": true, "SRP": true, "DSS": true, "aDSS": true, "IDEA": true,
	"SEED": true, "CAMELLIA": true, "ARIA": true, "ADH": true, "AECDH": true, "DH": true, "DHE": true, "EDH": true,
	"kDHE": true, "kEDH": true, "COMPLEMENTOFDEFAULT": true, "COMPLEMENTOFALL": true, "SSLv2": true, "AESCCM": true,
	"AESCCM8": true, "CBC": true, "kDH": true, "kECDH": true, "RC2": true,
}

func (c *cipher) is(word string) bool {
	if word == "ALL" || word == "DEFAULT" || c.name == word {
		return true
	}
	for _, t := range strings.Fields(c.tags) {
		if t == word {
			return true
		}
	}
	return false
}

// match handles groups joined with "+": all of them must hold.
func (c *cipher) match(word string) bool {
	for _, w := range strings.Split(word, "+") {
		if !c.is(w) {
			return false
		}
	}
	return true
}

func knownCipherWord(word string) bool {
	for _, w := range strings.Split(word, "+") {
		ok := absentGroups[w]
		for i := range ciphers {
			ok = ok || ciphers[i].is(w)
		}
		if !ok {
			return false
		}
	}
	return true
}

// parseCiphers reads an OpenSSL cipher string (ciphers(1)): words separated by
// ":", "," or spaces; "!" removes for good, "-" removes, "+" moves to the end;
// "@STRENGTH" and "@SECLEVEL=n" are accepted. The empty string means Go's
// default (nil).
func parseCiphers(s string) ([]uint16, error) {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == ',' || r == ' ' })
	if len(words) == 0 {
		return nil, nil
	}
	var list []*cipher
	killed := map[uint16]bool{}
	remove := func(word string) (out []*cipher) {
		kept := list[:0:0]
		for _, c := range list {
			if c.match(word) {
				out = append(out, c)
			} else {
				kept = append(kept, c)
			}
		}
		list = kept
		return out
	}
	for _, w := range words {
		op := byte(0)
		if strings.IndexByte("!-+", w[0]) >= 0 {
			op, w = w[0], w[1:]
		}
		if w == "" || w[0] == '@' {
			continue
		}
		if !knownCipherWord(w) {
			return nil, fmt.Errorf("%s: SSL cipher %q is not supported", s, w)
		}
		switch op {
		case '!':
			remove(w)
			for i := range ciphers {
				if ciphers[i].match(w) {
					killed[ciphers[i].id] = true
				}
			}
		case '-':
			remove(w)
		case '+':
			list = append(list, remove(w)...)
		default:
			have := map[uint16]bool{}
			for _, c := range list {
				have[c.id] = true
			}
			for i := range ciphers {
				c := &ciphers[i]
				if c.match(w) && !have[c.id] && !killed[c.id] {
					list = append(list, c)
				}
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no SSL cipher left", s)
	}
	out := make([]uint16, len(list))
	for i, c := range list {
		out[i] = c.id
	}
	return out, nil
}
