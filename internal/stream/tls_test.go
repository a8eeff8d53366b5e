package stream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/debs"
)

// authority is a certificate authority in a directory of the test.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, n: 1}
	a.key, a.cert = issue(t, name, nil, 1)
	writePEM(t, a.file(), "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) file() string { return filepath.Join(a.dir, a.cert.Subject.CommonName+"-ca.pem") }

// options issues a certificate and returns options that use it and trust the CA.
func (a *authority) options(t *testing.T, name string) *TLSOptions {
	t.Helper()
	a.n++
	key, cert := issue(t, name, a, a.n)
	o := &TLSOptions{PrivateKey: filepath.Join(a.dir, name+"-key.pem"), Certificate: filepath.Join(a.dir, name+".pem"), CACert: a.file(), PeerCACert: a.file()}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, o.PrivateKey, "PRIVATE KEY", b)
	writePEM(t, o.Certificate, "CERTIFICATE", cert.Raw)
	return o
}

func issue(t *testing.T, name string, by *authority, serial int64) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	parent, signer := tmpl, key
	if by == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func writePEM(t *testing.T, path, kind string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tlsEcho listens with o and returns the target to connect to.
func tlsEcho(t *testing.T, o *TLSOptions) string {
	t.Helper()
	l, err := Listen("pssl:0:127.0.0.1", o)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, l)
	return "ssl:" + l.Addr().String()
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "one"), newAuthority(t, dir, "two")
	server, client, stranger := ca.options(t, "server"), ca.options(t, "client"), other.options(t, "stranger")
	target := tlsEcho(t, server)
	if err := dial(t, target, client); err != nil {
		t.Errorf("same CA: %v", err)
	}
	if err := dial(t, target, stranger); err == nil {
		t.Error("a stranger trusted the server")
	}
	stranger.CACert = "none"
	if err := dial(t, target, stranger); err == nil {
		t.Error("the server trusted a stranger")
	}
	open := *server
	open.CACert = "none"
	if err := dial(t, tlsEcho(t, &open), stranger); err != nil {
		t.Errorf("no verification: %v", err)
	}
	named := *client
	named.ServerName = "server"
	if err := dial(t, target, &named); err != nil {
		t.Errorf("server name: %v", err)
	}
	named.ServerName = "elsewhere"
	if err := dial(t, target, &named); err == nil {
		t.Error("wrong server name accepted")
	}
	for _, o := range []*TLSOptions{nil, {}, {PrivateKey: "x"}, {PrivateKey: "x", Certificate: "y"}, {PrivateKey: "/nonexistent", Certificate: "y", CACert: "none"}} {
		if err := dial(t, target, o); err == nil {
			t.Errorf("%+v: connected", o)
		}
	}
	// Without files, or with wrong ones, it listens, but no connection comes about.
	for _, o := range []*TLSOptions{nil, {}, {PrivateKey: "/nonexistent", Certificate: "y", CACert: "none"}} {
		if err := dial(t, tlsEcho(t, o), client); err == nil {
			t.Errorf("%+v: a connection without files", o)
		}
	}
}

func TestTLSFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	ca, next := newAuthority(t, dir, "one"), newAuthority(t, dir, "two")
	server, client, future := ca.options(t, "server"), ca.options(t, "client"), next.options(t, "future")
	target := tlsEcho(t, server)
	if err := dial(t, target, client); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{future.PrivateKey: server.PrivateKey, future.Certificate: server.Certificate, future.CACert: server.CACert} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to+".new", b, 0o600)
		}
		if err == nil {
			err = os.Rename(to+".new", to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := dial(t, target, future); err != nil {
		t.Errorf("after the change: %v", err)
	}
	// A broken file does not end the service: what was good goes on.
	if err := os.WriteFile(server.Certificate, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dial(t, target, future); err != nil {
		t.Errorf("with a broken file: %v", err)
	}
}

func TestBootstrap(t *testing.T) {
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "one"), newAuthority(t, dir, "two")
	server, client := ca.options(t, "server"), ca.options(t, "client")
	target := tlsEcho(t, server)
	client.CACert, client.BootstrapCA = filepath.Join(dir, "got.pem"), true
	if err := dial(t, target, client); err != nil {
		t.Fatalf("client bootstrap: %v", err)
	}
	got, _ := os.ReadFile(client.CACert)
	want, _ := os.ReadFile(ca.file())
	if string(got) != string(want) {
		t.Error("the file is not the CA's certificate")
	}
	if err := dial(t, tlsEcho(t, other.options(t, "impostor")), client); err == nil {
		t.Error("another CA accepted after bootstrap")
	}
	// A server bootstraps from its first client, and drops that connection.
	server.CACert, server.BootstrapCA = filepath.Join(dir, "got2.pem"), true
	target = tlsEcho(t, server)
	if err := dial(t, target, client); err == nil {
		t.Error("the bootstrapping connection was kept")
	}
	if err := dial(t, target, client); err != nil {
		t.Errorf("after the server's bootstrap: %v", err)
	}
	// Without the CA in the chain there is nothing to learn.
	server.PeerCACert = ""
	fresh := ca.options(t, "fresh")
	fresh.CACert, fresh.BootstrapCA = filepath.Join(dir, "got3.pem"), true
	if err := dial(t, tlsEcho(t, server), fresh); err == nil || !strings.Contains(err.Error(), "could not bootstrap CA cert") {
		t.Errorf("no CA sent: %v", err)
	}
	if _, err := os.Stat(fresh.CACert); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file was written")
	}
	if err := writeOnce(ca.file(), []byte("other")); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(ca.file()); string(b) != string(want) {
		t.Error("an existing file was overwritten")
	}
}

func TestProtocolsAndCiphers(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir, "one")
	server, client := ca.options(t, "server"), ca.options(t, "client")
	server.Protocols, server.Ciphers = "TLSv1.2", "HIGH:!aNULL:!MD5"
	target := tlsEcho(t, server)
	c, err := Dial(t.Context(), target, client)
	if err != nil {
		t.Fatal(err)
	}
	if v := c.(*tls.Conn).ConnectionState().Version; v != tls.VersionTLS12 {
		t.Errorf("version %x", v)
	}
	c.Close()
	client.Protocols = "TLSv1.3"
	if err := dial(t, target, client); err == nil {
		t.Error("connected without a common version")
	}
	for _, bad := range []TLSOptions{{Protocols: "SSLv3"}, {Protocols: "TLSv1.1,TLSv1.3"}, {Ciphers: "NOPE"}, {Ciphers: "MD5"}, {CipherSuites: "TLS_X"}} {
		if err := bad.apply(&tls.Config{}); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
	for _, c := range []struct {
		o        TLSOptions
		min, max uint16
	}{
		{TLSOptions{}, tls.VersionTLS12, 0},
		{TLSOptions{Protocols: "TLSv1,TLSv1.1,TLSv1.2"}, tls.VersionTLS10, tls.VersionTLS12},
		{TLSOptions{Protocols: "TLSv1.3 TLSv1.2", CipherSuites: "TLS_AES_128_GCM_SHA256"}, tls.VersionTLS12, tls.VersionTLS13},
		{TLSOptions{Protocols: "TLSv1.2+"}, tls.VersionTLS12, tls.VersionTLS13},
	} {
		var conf tls.Config
		if err := c.o.apply(&conf); err != nil || conf.MinVersion != c.min || conf.MaxVersion != c.max {
			t.Errorf("%+v: %x-%x %v", c.o, conf.MinVersion, conf.MaxVersion, err)
		}
	}
	for spec, want := range map[string]string{
		"ECDHE+AESGCM":                    "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256",
		"HIGH:!ECDHE:-SHA1":               "AES256-GCM-SHA384 AES128-GCM-SHA256",
		"AES128-SHA:AES256-SHA":           "AES128-SHA AES256-SHA",
		"kRSA+AESGCM:+AES256:@SECLEVEL=1": "AES128-GCM-SHA256 AES256-GCM-SHA384",
	} {
		ids, err := parseCiphers(spec)
		var names []string
		for _, id := range ids {
			for _, c := range ciphers {
				if c.id == id {
					names = append(names, c.name)
				}
			}
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("%s: %s %v", spec, got, err)
		}
	}
}

// TestDebianTLS connects to Debian's ovsdb-server over ssl:, and Debian's
// ovsdb-client to a listener of ours.
func TestDebianTLS(t *testing.T) {
	pki := t.TempDir()
	ca := newAuthority(t, pki, "one")
	server, client := ca.options(t, "server"), ca.options(t, "client")
	dir := debs.OVSDBServer(t, "--remote=pssl:0:127.0.0.1", "--private-key="+server.PrivateKey, "--certificate="+server.Certificate, "--ca-cert="+server.CACert)
	log, err := os.ReadFile(filepath.Join(dir, "ovsdb-server.log"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(string(log), "listening on port ")
	port, _, _ = strings.Cut(port, "\n")
	c, err := Dial(t.Context(), "ssl:127.0.0.1:"+port, client)
	if err != nil {
		t.Fatalf("port %q: %v", port, err)
	}
	defer c.Close()
	fmt.Fprint(c, `{"method":"list_dbs","params":[],"id":1}`)
	buf := make([]byte, 1000)
	if n, err := c.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "Open_vSwitch") {
		t.Errorf("%q %v", buf[:n], err)
	}
	target := answerListDbs(t, server)
	cmd := exec.CommandContext(t.Context(), debs.Bin(t, "ovsdb-client"), "--private-key="+client.PrivateKey, "--certificate="+client.Certificate,
		"--ca-cert="+client.CACert, "list-dbs", target)
	cmd.Env = debs.Env(dir)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "from_go\n" {
		t.Errorf("ovsdb-client: %v %s", err, out)
	}
}

// answerListDbs is a server that knows one request.
func answerListDbs(t *testing.T, o *TLSOptions) string {
	t.Helper()
	l, err := Listen("pssl:0:127.0.0.1", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		l.Close()
	})
	go func() {
		for ctx.Err() == nil {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				buf := make([]byte, 1000)
				if n, err := c.Read(buf); err == nil && strings.Contains(string(buf[:n]), "list_dbs") {
					_, _ = io.WriteString(c, `{"id":0,"result":["from_go"],"error":null}`)
					_, _ = c.Read(buf)
				}
			}(c)
		}
	}()
	return "ssl:" + l.Addr().String()
}

// TestHungHandshake: a handshake that stands still, or crawls, ends in time.
func TestHungHandshake(t *testing.T) {
	l, err := Listen("pssl:0:127.0.0.1", newAuthority(t, t.TempDir(), "one").options(t, "server"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*tlsListener).limit = 50 * time.Millisecond
	for _, hello := range []string{"", "\x16\x03\x01"} {
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := peer.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: %v", hello, err)
		}
	}
}
