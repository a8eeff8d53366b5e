package command

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/debs"
	"govs/ovsdb/client"
)

// ca makes certificates.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

// newCA makes a CA: DIR/cacert.pem, and DIR/cert.pem and DIR/key.pem for servers.
func newCA(t *testing.T, dir string) *ca {
	t.Helper()
	c := &ca{dir: dir}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	c.key = key
	c.write(t, "cacert.pem", "CERTIFICATE", der)
	c.files(t, "server")
	return c
}

func (c *ca) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	// In one step: a server may read it any time.
	tmp := filepath.Join(c.dir, "new")
	if err := os.WriteFile(tmp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(c.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// files makes cert.pem and key.pem anew, for a name.
func (c *ca) files(t *testing.T, cn string) {
	t.Helper()
	cert := c.certificate(t, cn)
	der, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "key.pem", "EC PRIVATE KEY", der)
	c.write(t, "cert.pem", "CERTIFICATE", cert.Certificate[0])
}

// certificate makes a certificate for a name.
func (c *ca) certificate(t *testing.T, cn string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.cert, &key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial connects to a TLS port as a name.
func (c *ca) dial(t *testing.T, port, cn string) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{
		Certificates:       []tls.Certificate{c.certificate(t, cn)},
		InsecureSkipVerify: true, // the server's name does not matter here
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// boundPort waits until the status of the remote with a target tells its port.
func boundPort(t *testing.T, p *party, db, target string) string {
	t.Helper()
	c, err := client.Dial(context.Background(), p.target(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		b, err := c.Call(t.Context(), "transact", fmt.Appendf(nil, `[%q,{"op":"select","table":"Connection","where":[["target","==",%q]],"columns":["status"]}]`, db, target))
		if err != nil {
			t.Fatal(err)
		}
		var res []struct {
			Rows []struct{ Status [2]json.RawMessage }
		}
		if err := json.Unmarshal(b, &res); err != nil || len(res) != 1 || len(res[0].Rows) != 1 {
			t.Fatalf("%s: %v", b, err)
		}
		var pairs [][2]string
		if err := json.Unmarshal(res[0].Rows[0].Status[1], &pairs); err != nil {
			t.Fatal(err)
		}
		for _, kv := range pairs {
			if kv[0] == "bound_port" {
				return kv[1]
			}
		}
	}
	t.Fatal("the remote's status tells no port")
	return ""
}

// TestRBAC compares what roles may do: the databases are set up over the Unix
// socket, and then asked over TLS by clients with names.
func TestRBAC(t *testing.T) {
	schema, err := os.ReadFile("testdata/rbac.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	pki := newCA(t, t.TempDir())
	args := []string{"--private-key=" + pki.dir + "/key.pem", "--certificate=" + pki.dir + "/cert.pem", "--ca-cert=" + pki.dir + "/cacert.pem",
		"--remote=db:rbac,Root,connections"}
	const insert = `["rbac",{"op":"insert","table":"Root","row":{"connections":["set",[["named-uuid","a"],["named-uuid","b"]]]}},
		{"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"pssl:0:127.0.0.1","role":"controller"}},
		{"op":"insert","table":"Connection","uuid-name":"b","row":{"target":"ptcp:0:127.0.0.1","role":"controller"}}]`
	both(t, []string{string(schema)}, args, transcript(t, "rbac.txt"), func(p *party) {
		c := p.dial(t)
		if b, err := c.Call(t.Context(), "transact", []byte(insert)); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		secure, clear := boundPort(t, p, "rbac", "pssl:0:127.0.0.1"), boundPort(t, p, "rbac", "ptcp:0:127.0.0.1")
		p.tls = func(cn string) net.Conn {
			if cn != "none" {
				return pki.dial(t, secure, cn)
			}
			conn, err := net.Dial("tcp", "127.0.0.1:"+clear)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
	})
}

// TestRBACSouthbound is TestRBAC with OVN's southbound schema, and roles as
// ovn-northd makes them.
func TestRBACSouthbound(t *testing.T) {
	schema, err := os.ReadFile(filepath.Join(debs.Root(t), "usr/share/ovn/ovn-sb.ovsschema"))
	if err != nil {
		t.Skip("OVN's schema is not at hand: ", err)
	}
	pki := newCA(t, t.TempDir())
	args := []string{"--private-key=" + pki.dir + "/key.pem", "--certificate=" + pki.dir + "/cert.pem", "--ca-cert=" + pki.dir + "/cacert.pem",
		"--remote=db:OVN_Southbound,SB_Global,connections"}
	const insert = `["OVN_Southbound",{"op":"insert","table":"SB_Global","row":{"connections":["named-uuid","a"]}},
		{"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"pssl:0:127.0.0.1","role":"ovn-controller"}},
		{"op":"insert","table":"RBAC_Role","row":{"name":"ovn-controller","permissions":["map",[["Chassis",["named-uuid","c"]],["Encap",["named-uuid","e"]],["MAC_Binding",["named-uuid","m"]]]]}},
		{"op":"insert","table":"RBAC_Permission","uuid-name":"c","row":{"table":"Chassis","authorization":"name","insert_delete":true,"update":["set",["nb_cfg","external_ids","encaps","vtep_logical_switches","other_config"]]}},
		{"op":"insert","table":"RBAC_Permission","uuid-name":"e","row":{"table":"Encap","authorization":"chassis_name","insert_delete":true,"update":["set",["type","options","ip"]]}},
		{"op":"insert","table":"RBAC_Permission","uuid-name":"m","row":{"table":"MAC_Binding","authorization":"","insert_delete":true,"update":["set",["logical_port","ip","mac","datapath"]]}}]`
	both(t, []string{string(schema)}, args, transcript(t, "rbac-ovn.txt"), func(p *party) {
		c := p.dial(t)
		b, err := c.Call(t.Context(), "transact", []byte(insert))
		if err != nil || strings.Contains(string(b), `"error"`) {
			t.Fatalf("%s: %v", b, err)
		}
		port := boundPort(t, p, "OVN_Southbound", "pssl:0:127.0.0.1")
		p.tls = func(cn string) net.Conn { return pki.dial(t, port, cn) }
	})
}
