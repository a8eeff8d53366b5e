package stream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// handshakeTimeout bounds a handshake on an accepted connection.
const handshakeTimeout = 30 * time.Second

// ErrBootstrapped is the error of an accepted connection that delivered the CA
// certificate: the peer connects again, and from then on peers are verified.
// Dial connects again by itself.
var ErrBootstrapped = &configError{"CA certificate bootstrapped; connection dropped, connect again"}

// stamp tells whether a file changed.
type stamp struct {
	mtime time.Time
	size  int64
	ino   uint64
}

func stampOf(path string) stamp {
	fi, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	s := stamp{mtime: fi.ModTime(), size: fi.Size()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.ino = st.Ino
	}
	return s
}

// material is the contents of the files of a TLSOptions, read when they change.
type material struct {
	opts   TLSOptions
	mu     sync.Mutex
	stamps [4]stamp
	loaded bool
	config *tls.Config // nil CA pool with verification on: bootstrap pending
	pool   *x509.CertPool
	err    error
}

func newMaterial(o *TLSOptions) (*material, error) {
	if o == nil || o.PrivateKey == "" || o.Certificate == "" || o.CACert == "" {
		return nil, missing(o)
	}
	return &material{opts: *o}, nil
}

func missing(o *TLSOptions) error {
	switch {
	case o == nil || o.PrivateKey == "":
		return &configError{"Private key must be configured to use SSL"}
	case o.Certificate == "":
		return &configError{"Certificate must be configured to use SSL"}
	}
	return &configError{"CA certificate must be configured to use SSL"}
}

func (m *material) verify() bool { return m.opts.CACert != "none" }

// get returns the configuration for one handshake and the CA pool (nil where
// peers are not verified, or the CA is to be bootstrapped).
func (m *material) get() (*tls.Config, *x509.CertPool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := [4]stamp{stampOf(m.opts.PrivateKey), stampOf(m.opts.Certificate), stampOf(m.opts.CACert), stampOf(m.opts.PeerCACert)}
	if m.loaded && now == m.stamps {
		return m.config, m.pool, m.err
	}
	config, pool, err := m.read()
	if err != nil && m.config != nil {
		// Files are being replaced: go on with what was good until they fit.
		return m.config, m.pool, nil
	}
	m.config, m.pool, m.err, m.stamps, m.loaded = config, pool, err, now, true
	return config, pool, err
}

func (m *material) read() (*tls.Config, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(m.opts.Certificate, m.opts.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("loading certificate %s and private key %s: %w", m.opts.Certificate, m.opts.PrivateKey, err)
	}
	if m.opts.PeerCACert != "" {
		more, err := readCerts(m.opts.PeerCACert)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range more {
			cert.Certificate = append(cert.Certificate, c.Raw)
		}
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}}
	if err := m.opts.apply(c); err != nil {
		return nil, nil, err
	}
	if !m.verify() {
		return c, nil, nil
	}
	cas, err := readCerts(m.opts.CACert)
	if m.opts.BootstrapCA && errors.Is(err, os.ErrNotExist) {
		return c, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	for _, ca := range cas {
		pool.AddCert(ca)
	}
	return c, pool, nil
}

func readCerts(path string) ([]*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificates found in file", path)
	}
	return out, nil
}

// check verifies the peer's chain. The C programs check that a chain leads to
// the CA, and no name, unless --ssl-server-name asks for one.
func check(cs tls.ConnectionState, pool *x509.CertPool, usage x509.ExtKeyUsage, name string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("peer did not present a certificate")
	}
	inter := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		inter.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{usage, x509.ExtKeyUsageAny}, DNSName: name,
	})
	return err
}

// bootstrap takes the CA certificate from the end of the peer's chain and
// writes it, unless somebody else did in the meantime.
func (m *material) bootstrap(cs tls.ConnectionState) error {
	chain := cs.PeerCertificates
	if len(chain) == 0 {
		return errors.New("could not bootstrap CA cert: no certificate presented by peer")
	}
	ca := chain[len(chain)-1]
	if ca.CheckSignatureFrom(ca) != nil {
		return errors.New("could not bootstrap CA cert: end of certificate chain is not self-signed")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	if err := writeOnce(m.opts.CACert, text); err != nil {
		return fmt.Errorf("could not bootstrap CA cert: creating %s failed: %w", m.opts.CACert, err)
	}
	m.loaded = false
	return nil
}

// writeOnce makes a file with the given contents in one step; a file that is
// there already stays as it is, without error.
func writeOnce(path string, b []byte) error {
	sum := sha256.Sum256(b)
	tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%x.%x", sum[:4], nonce()))
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func dialTLS(ctx context.Context, d *net.Dialer, host, addr string, o *TLSOptions) (net.Conn, error) {
	m, err := newMaterial(o)
	if err != nil {
		return nil, err
	}
	conn, err := m.dial(ctx, d, host, addr)
	if errors.Is(err, ErrBootstrapped) {
		return m.dial(ctx, d, host, addr)
	}
	return conn, err
}

func (m *material) dial(ctx context.Context, d *net.Dialer, host, addr string) (net.Conn, error) {
	o := &m.opts
	base, pool, err := m.get()
	if err != nil {
		return nil, err
	}
	c := base.Clone()
	c.InsecureSkipVerify = true // verified below, by the rules of C
	if m.verify() && pool != nil {
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			return check(cs, pool, x509.ExtKeyUsageServerAuth, o.ServerName)
		}
	}
	c.ServerName = o.ServerName
	if c.ServerName == "" && net.ParseIP(host) == nil {
		c.ServerName = host // asked for, not verified
	}
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	if m.verify() && pool == nil {
		err := m.bootstrap(conn.ConnectionState())
		_ = conn.Close()
		if err == nil {
			err = ErrBootstrapped
		}
		return nil, err
	}
	return conn, nil
}

func listenTLS(addr string, o *TLSOptions) (net.Listener, error) {
	m, err := newMaterial(o)
	if err != nil {
		m = &material{loaded: true, err: err} // without files, so for good
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	outer := &tls.Config{GetConfigForClient: m.serverConfig}
	return &tlsListener{Listener: l, config: outer, limit: handshakeTimeout}, nil
}

// serverConfig is the configuration for one incoming connection.
func (m *material) serverConfig(*tls.ClientHelloInfo) (*tls.Config, error) {
	base, pool, err := m.get()
	if err != nil {
		return nil, err
	}
	c := base.Clone()
	if !m.verify() {
		return c, nil
	}
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if pool == nil {
			if err := m.bootstrap(cs); err != nil {
				return err
			}
			return ErrBootstrapped
		}
		return check(cs, pool, x509.ExtKeyUsageClientAuth, "")
	}
	return c, nil
}

// tlsListener gives connections whose handshake happens at the first read or
// write, within a time limit.
type tlsListener struct {
	net.Listener
	config *tls.Config
	limit  time.Duration
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &serverConn{Conn: tls.Server(c, l.config), limit: l.limit}, nil
}

// serverConn bounds the time of its handshake.
type serverConn struct {
	*tls.Conn
	limit time.Duration
	once  sync.Once
	err   error
}

func (c *serverConn) handshake() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		defer cancel()
		if c.err = c.Conn.HandshakeContext(ctx); c.err != nil {
			_ = c.Conn.NetConn().Close()
		}
	})
	return c.err
}

func (c *serverConn) Read(b []byte) (int, error) {
	if err := c.handshake(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *serverConn) Write(b []byte) (int, error) {
	if err := c.handshake(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Handshake does the handshake now; its error is that of the first Read otherwise.
func (c *serverConn) Handshake() error { return c.handshake() }
