package vsctl

func needBrExternalID(f *fetch, c *command) error {
	f.need("Bridge", "external_ids")
	f.need("Port", "external_ids")
	return needBridges(f, c)
}

// fakePrefix marks the external IDs of a fake bridge among its port's.
const fakePrefix = "fake-bridge-"

// idsOf returns the row that holds a bridge's external IDs, and the prefix there.
func idsOf(b *bridge) (*row, string) {
	if b.parent != nil {
		return b.port, fakePrefix
	}
	return b.row, ""
}
