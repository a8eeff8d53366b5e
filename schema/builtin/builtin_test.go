package builtin

import (
	"testing"

	"govs/schema"
)

func TestSchemas(t *testing.T) {
	for name, text := range map[string][]byte{Server: ServerJSON(), LocalConfig: LocalConfigJSON()} {
		s, err := schema.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Name != name {
			t.Errorf("%s: the schema's name is %s", name, s.Name)
		}
	}
	s, _ := schema.Parse(ServerJSON())
	for _, c := range []string{"name", "model", "connected", "leader", "schema", "cid", "sid", "index"} {
		if s.Table("Database").Column(c) == nil {
			t.Errorf("_Server: no column %s", c)
		}
	}
}
