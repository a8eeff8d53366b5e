// Command torture breaks what an ovsdb-server stands on, and looks whether it
// keeps its promises.
//
// Usage:
//
//	torture [-for DURATION] [-seed N] [-server PATH]
//
// For both engines, bolt and logfile:
//
//   - It kills the server (kill -9) again and again while clients write and
//     compactions run. What was acknowledged must be there after each start, and
//     nothing by half.
//   - It records the server's system calls with strace, and opens what a power
//     cut may have left on the disk: unflushed writes lost, torn, and reordered.
//     What was acknowledged as durable must be there. The whole server is traced,
//     bbolt's writes included.
//   - It cuts the last record at its bytes, which must cost that record alone,
//     and flips bytes elsewhere, which must be an error that names the place. The
//     C server opens some of these files as well.
//   - It fills the disk, a tmpfs in a mount namespace of its own, and limits the
//     size of files. Transactions must fail with an I/O error, others be
//     answered, and all go on when there is room; a kill without room must not
//     lose anything either.
//
// The last line is "acknowledged lost: 0"; a broken promise is printed, and the
// exit status is 1 then.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"govs/ovsdb/storage/file"
	"govs/tools/peer"
)

func main() {
	limit := flag.Duration("for", time.Minute, "how long to go on")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "start of the random sequence")
	server := flag.String("server", "bin/ovsdb-server", "the server")
	flag.Parse()
	fmt.Println("seed", *seed)
	if err := run(*server, *limit, rand.New(rand.NewPCG(*seed, 0))); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	fmt.Println("acknowledged lost: 0")
}

// run does all there is for both engines.
func run(server string, limit time.Duration, r *rand.Rand) error {
	theirs, err := peer.Debian("ovsdb-server")
	if err != nil {
		fmt.Println("not compared with the C server:", err)
		theirs = ""
	}
	for _, f := range []file.Format{file.Bolt, file.Log} {
		for _, step := range []struct {
			name string
			do   func() (fmt.Stringer, error)
		}{
			{"kill -9", func() (fmt.Stringer, error) { return kills(server, f, r, 0, limit*22/100) }},
			{"power cuts", func() (fmt.Stringer, error) { return powerCuts(server, f, r, 150, 200, limit*8/100) }},
			{"damage", func() (fmt.Stringer, error) { return damage(server, theirs, f, r, 7, 1<<30, limit*6/100) }},
			{"full disk", func() (fmt.Stringer, error) { return full(server, f, noSpace, r, 0, limit*3/100) }},
			{"full files", func() (fmt.Stringer, error) { return full(server, f, fileLimit, r, 0, limit*3/100) }},
		} {
			done, err := step.do()
			if errors.Is(err, errNoTrace) || errors.Is(err, errNoRoom) {
				fmt.Printf("%-5s %-10s left out: %v\n", f, step.name, err)
				continue
			}
			fmt.Printf("%-5s %-10s %v\n", f, step.name, done)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
