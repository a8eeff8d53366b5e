package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// clients is how many write at the same time.
const clients = 4

// driver is one client, through all of its connections.
type driver struct {
	client  int
	acked   int // number of the last transaction that was acknowledged
	durable int // of the last one that was as durable
	sent    int // of the last one that was sent
	counts  counts
	refusal *opError // the last I/O error
	always  bool     // all transactions are durable
}

// counts are what a driver, or all of them, did.
type counts struct {
	acked, durable int // transactions
	refused        int // that failed with an I/O error
	there, not     int // that were on their way when the server was killed
}

func (c *counts) add(d counts) {
	c.acked += d.acked
	c.durable += d.durable
	c.refused += d.refused
	c.there += d.there
	c.not += d.not
}

// drive writes until the connection ends, stop is closed, or limit transactions
// were acknowledged (0: no limit). The error is a broken promise.
func (d *driver) drive(sock string, r *rand.Rand, limit int, stop <-chan struct{}) error {
	s, err := dial(sock)
	if err != nil {
		return nil //nolint:nilerr // it was killed
	}
	defer s.close()
	for n := 0; limit == 0 || n < limit; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if ok, err := d.once(s, d.always || r.IntN(3) == 0); err != nil || !ok {
			return err
		}
	}
	return nil
}

// once sends the next transaction, and reports whether it was answered. One that
// fails with an I/O error is none.
func (d *driver) once(s *session, durable bool) (bool, error) {
	n := d.acked + 1
	d.sent = n
	results, err := s.transact(fmt.Sprintf("%d:%d:%v", d.client, n, durable), transaction(d.client, n, durable))
	if isWrong(err) {
		return false, err
	}
	if err != nil {
		return false, nil //nolint:nilerr // it was killed
	}
	switch e, err := failure(results); {
	case err != nil:
		return false, err
	case e != nil && e.Tag == "I/O error":
		d.sent = d.acked
		d.counts.refused++
		d.refusal = e
		return true, nil
	case e != nil:
		return false, wrong("client %d, transaction %d: %s: %s", d.client, n, e.Tag, e.Details)
	}
	d.acked = n
	d.counts.acked++
	if durable {
		d.durable = n
		d.counts.durable++
	}
	return true, nil
}

// drivers are all clients.
type drivers []*driver

func newDrivers(n int) drivers {
	all := make(drivers, n)
	for c := range all {
		all[c] = &driver{client: c}
	}
	return all
}

// setup makes the rows that the drivers' transactions need.
func (all drivers) setup(sock string) error {
	s, err := dial(sock)
	if err != nil {
		return err
	}
	defer s.close()
	results, err := s.transact("setup", setup(len(all)))
	if err != nil {
		return err
	}
	if e, err := failure(results); e != nil || err != nil {
		return wrong("setup: %v, %v", e, err)
	}
	return nil
}

// run has all of them write until then returned, or each has limit transactions
// acknowledged where that is not 0, and waits for their end.
func (all drivers) run(sock string, r *rand.Rand, limit int, then func()) error {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	errs := make(chan error, len(all))
	for _, d := range all {
		own := rand.New(rand.NewPCG(r.Uint64(), uint64(d.client)))
		wg.Go(func() {
			if err := d.drive(sock, own, limit, stop); err != nil {
				errs <- err
			}
		})
	}
	then()
	if limit == 0 {
		close(stop)
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// read compares what the server holds with what it acknowledged, and takes its
// numbers over.
func (all drivers) read(sock string) error {
	s, err := dial(sock)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.read()
	if err != nil {
		return err
	}
	return all.compare(c)
}

func (all drivers) compare(c *contents) error {
	for _, d := range all {
		n := c.seq[d.client]
		if n < d.acked {
			return wrong("LOST: transaction %d of client %d was acknowledged, and the database ends at %d", d.acked, d.client, n)
		}
		if n > d.sent {
			return wrong("the database has transaction %d of client %d, which was not sent or failed: it sent %d", n, d.client, d.sent)
		}
		switch {
		case d.sent == d.acked:
		case n == d.sent:
			d.counts.there++
		default:
			d.counts.not++
		}
		d.acked, d.sent = n, n
	}
	return c.whole()
}

func (all drivers) counts() (sum counts) {
	for _, d := range all {
		sum.add(d.counts)
	}
	return sum
}
