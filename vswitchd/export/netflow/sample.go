package netflow

import (
	"govs/datapath/engine"
	"govs/datapath/flow"
)

// Mask sets the bits by which flows like this one are told apart.
func (e *Exporter) Mask(k *flow.Key, m *flow.Mask) { e.cache.Mask(k, m) }

// Creditor returns what counts a flow's traffic; see Cache.Creditor.
func (e *Exporter) Creditor(k *flow.Key, in, out uint16) engine.Creditor {
	return e.cache.Creditor(k, in, out)
}

// Len is the number of flows that are going on.
func (e *Exporter) Len() int { return e.cache.Len() }
