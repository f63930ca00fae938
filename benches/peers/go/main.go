// Go's side of the comparison: a child process that runs one round each time it is told to.
//
// It reads lines "case iterations" and answers each with a line "nanoseconds_per_operation", until its
// standard input ends. A case that it does not know, or whose result is wrong, ends it with status 1.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// group does what golang.org/x/sync/errgroup.Group does, in the same steps, so that this program
// builds without fetching a module.
type group struct {
	wg      sync.WaitGroup
	sem     chan struct{}
	errOnce sync.Once
	err     error
}

func (g *group) setLimit(n int) {
	g.sem = make(chan struct{}, n)
}

func (g *group) run(f func() error) {
	if g.sem != nil {
		g.sem <- struct{}{}
	}
	g.wg.Add(1)
	go func() {
		defer g.done()
		if err := f(); err != nil {
			g.errOnce.Do(func() { g.err = err })
		}
	}()
}

func (g *group) done() {
	if g.sem != nil {
		<-g.sem
	}
	g.wg.Done()
}

func (g *group) wait() error {
	g.wg.Wait()
	return g.err
}

// errgroup starts a group with a limit, gives it trivial tasks and waits for it; all that n times.
func errgroup(tasks, limit int) func(n int) error {
	return func(n int) error {
		var hits atomic.Int64
		for i := 0; i < n; i++ {
			var g group
			g.setLimit(limit)
			for t := 0; t < tasks; t++ {
				g.run(func() error {
					hits.Add(1)
					return nil
				})
			}
			if err := g.wait(); err != nil {
				return err
			}
		}
		if hits.Load() != int64(n)*int64(tasks) {
			return fmt.Errorf("%d tasks ran, not %d", hits.Load(), n*tasks)
		}
		return nil
	}
}

// sessionTell sends n numbers from two goroutines to 1,000, each with a channel of 64.
func sessionTell(n int) error {
	const sessions = 1000
	var total atomic.Int64
	var all, senders sync.WaitGroup
	inboxes := make([]chan uint64, sessions)
	for i := range inboxes {
		inbox := make(chan uint64, 64)
		inboxes[i] = inbox
		all.Add(1)
		go func() {
			defer all.Done()
			var count int64
			for m := range inbox {
				count += int64(m)
			}
			total.Add(count)
		}()
	}
	for s := 0; s < 2; s++ {
		senders.Add(1)
		go func(s int) {
			defer senders.Done()
			for i := 0; i < n/2; i++ {
				inboxes[(i+s*sessions/2)%sessions] <- 1
			}
		}(s)
	}
	senders.Wait()
	for _, inbox := range inboxes {
		close(inbox)
	}
	all.Wait()
	if total.Load() != int64(n/2*2) {
		return fmt.Errorf("%d counted, not %d", total.Load(), n)
	}
	return nil
}

var cases = map[string]func(n int) error{
	"errgroup_64_limit8":   errgroup(64, 8),
	"errgroup_1000_limit2": errgroup(1000, 2),
	"errgroup_1000_limit8": errgroup(1000, 8),
	"session_tell":         sessionTell,
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &name, &n); err != nil || n < 1 {
			fail(fmt.Errorf("%q is not \"case iterations\"", lines.Text()))
		}
		run, known := cases[name]
		if !known {
			fail(fmt.Errorf("no case %q", name))
		}
		start := time.Now()
		if err := run(n); err != nil {
			fail(fmt.Errorf("%s: %w", name, err))
		}
		fmt.Println(float64(time.Since(start).Nanoseconds()) / float64(n))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go:", err)
	os.Exit(1)
}
