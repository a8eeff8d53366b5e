package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"govs/ovsdb/storage/file"
)

// killed is what a run of kills did.
type killed struct {
	counts
	kills, early int // early: before the server listened
	compactions  int
	torn         int // starts that dropped a record which was not written to its end
}

func (k killed) String() string {
	return fmt.Sprintf("%d kills (%d of them during a start), %d compactions, %d torn records; %d transactions acknowledged (%d durable), %d on their way (%d there, %d not)",
		k.kills, k.early, k.compactions, k.torn, k.acked, k.durable, k.there+k.not, k.there, k.not)
}

// kills kills a server at random points while clients write, until it was done
// rounds times or the time is over (0: no such limit), and looks after each
// start whether all that was acknowledged is there, and nothing is there by half.
func kills(server string, format file.Format, r *rand.Rand, rounds int, limit time.Duration) (k killed, err error) {
	p, err := newPlace(server, format)
	if err != nil {
		return k, err
	}
	defer func() {
		if err == nil {
			p.remove()
		} else {
			err = fmt.Errorf("%w (left in %s)", err, p.dir)
		}
	}()
	all := newDrivers(clients)
	s, err := p.start()
	if err != nil {
		return k, err
	}
	defer func() { s.kill() }()
	if err := all.setup(p.sock()); err != nil {
		return k, err
	}
	for end := time.Now().Add(limit); (rounds == 0 || k.kills < rounds) && (limit == 0 || time.Now().Before(end)); {
		n, err := killOnce(s, all, r)
		k.kills++
		k.compactions += n
		if err != nil {
			return k, err
		}
		for r.IntN(6) == 0 {
			if s, err = p.launch(); err != nil {
				return k, err
			}
			time.Sleep(time.Duration(r.IntN(30_000)) * time.Microsecond)
			s.kill()
			k.kills++
			k.early++
		}
		if s, err = p.start(); err != nil {
			return k, err
		}
		if strings.Contains(s.log.String(), "was not written to its end") {
			k.torn++
		}
		if err := all.read(p.sock()); err != nil {
			return k, err
		}
	}
	k.counts = all.counts()
	return k, nil
}

// killOnce has clients write, compacts at random, and kills the server after a
// random time. It returns how many compactions were done.
func killOnce(s *process, all drivers, r *rand.Rand) (int, error) {
	life := time.Duration(r.IntN(50_000)) * time.Microsecond
	switch r.IntN(20) {
	case 0: // long enough for a checkpoint
		life = time.Duration(500+r.IntN(300)) * time.Millisecond
	case 1, 2, 3:
		life *= 4
	}
	over := time.NewTimer(life)
	compactions, done := 0, make(chan error, 1)
	if r.IntN(2) == 0 {
		pause := rand.New(rand.NewPCG(r.Uint64(), 0))
		go func() {
			var err error
			for err == nil {
				select {
				case <-s.ended:
					done <- nil
					return
				case <-time.After(time.Duration(pause.IntN(20_000)) * time.Microsecond):
				}
				if err = s.place.compact(); err == nil {
					compactions++
				}
			}
			done <- err
		}()
	} else {
		done <- nil
	}
	err := all.run(s.place.sock(), r, 0, func() {
		<-over.C
		s.kill()
	})
	if err2 := <-done; err == nil {
		err = err2
	}
	if !s.running() && s.cmd.ProcessState.ExitCode() >= 0 {
		err = wrong("the server ended by itself: %s: %s", s.cmd.ProcessState, s.log.String())
	}
	return compactions, err
}
