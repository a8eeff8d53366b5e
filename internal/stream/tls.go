package stream

import (
	"github.com/spf13/pflag"
)

// TLSOptions are the options of TLS connections, named as on the command lines.
// The files' contents are read again when they change; one TLSOptions may
// serve many connections and listeners at a time, but is not changed while it does.
type TLSOptions struct {
	PrivateKey   string // PEM file
	Certificate  string // PEM file
	CACert       string // PEM file, or "none": peers are not verified
	PeerCACert   string // PEM file of certificates to send after our own
	BootstrapCA  bool   // CACert may be missing: take it from the first peer
	Protocols    string // list such as TLSv1.2,TLSv1.3; "" means TLSv1.2 and later
	Ciphers      string // OpenSSL cipher string, TLS 1.2 and older
	CipherSuites string // TLS 1.3 suites, colon-separated
	ServerName   string // name to ask for and to verify, instead of the host
}

// Flags binds the options to fs.
func (o *TLSOptions) Flags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.PrivateKey, "private-key", "p", o.PrivateKey, "file with private key")
	fs.StringVarP(&o.Certificate, "certificate", "c", o.Certificate, "file with certificate for private key")
	fs.VarP(&caFlag{o, false}, "ca-cert", "C", "file with peer CA certificate")
	fs.Var(&caFlag{o, true}, "bootstrap-ca-cert", "file with peer CA certificate to read or create")
	fs.StringVar(&o.PeerCACert, "peer-ca-cert", o.PeerCACert, "file with peer CA certificate")
	fs.StringVar(&o.Protocols, "ssl-protocols", o.Protocols, "list of SSL/TLS protocols to enable")
	fs.StringVar(&o.Ciphers, "ssl-ciphers", o.Ciphers, "list of SSL/TLS ciphers to enable")
	fs.StringVar(&o.CipherSuites, "ssl-ciphersuites", o.CipherSuites, "list of TLS 1.3 ciphersuites to enable")
	fs.StringVar(&o.ServerName, "ssl-server-name", o.ServerName, "server name for TLS connections")
}

// caFlag is --ca-cert or --bootstrap-ca-cert; the last one on the line counts.
type caFlag struct {
	o         *TLSOptions
	bootstrap bool
}

func (f *caFlag) String() string { return "" }
func (f *caFlag) Type() string   { return "string" }
func (f *caFlag) Set(s string) error {
	f.o.CACert, f.o.BootstrapCA = s, f.bootstrap
	return nil
}
