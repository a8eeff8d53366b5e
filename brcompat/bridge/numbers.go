package bridge

import "sync"

// FirstVirtual is the first interface index that no kernel device has.
const FirstVirtual = 0x40000000

// maxPortNo is the highest port number that there can be.
const maxPortNo = 1023

// numbers are the numbers that a bridge has and the database has not: port
// numbers, and indexes of what has no device. A name keeps its number.
type numbers struct {
	mu      sync.Mutex
	ports   map[string]map[string]int // bridge, port
	indexes map[string]int
	names   map[int]string
	next    int
}

func newNumbers() *numbers {
	return &numbers{ports: map[string]map[string]int{}, indexes: map[string]int{}, names: map[int]string{}, next: FirstVirtual}
}

// of returns the numbers of a bridge's ports by name. Ports that have none get
// the lowest free one, as with the kernel's bridge, in the order of their
// OpenFlow numbers; those that are gone lose theirs. Past maxPortNo there are
// none left.
func (n *numbers) of(b *bridge) map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.ports[b.name]
	now := make(map[string]int, len(b.ports))
	used := make(map[int]bool, len(b.ports))
	var fresh []*port
	for _, p := range byOfport(b.ports) {
		if no := old[p.name]; no != 0 {
			now[p.name] = no
			used[no] = true
		} else {
			fresh = append(fresh, p)
		}
	}
	low := 1
	for _, p := range fresh {
		for used[low] {
			low++
		}
		if low > maxPortNo {
			break
		}
		now[p.name] = low
		used[low] = true
	}
	n.ports[b.name] = now
	return now
}

// index returns the virtual index of a name.
func (n *numbers) index(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.indexes[name]
	if i == 0 {
		i = n.next
		n.next++
		n.indexes[name] = i
		n.names[i] = name
	}
	return i
}

// name returns the name that has a virtual index, or "".
func (n *numbers) name(index int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[index]
}

// forget drops the numbers of everything whose name keep denies.
func (n *numbers) forget(keep func(string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.ports {
		if !keep(name) {
			delete(n.ports, name)
		}
	}
	for name, i := range n.indexes {
		if !keep(name) {
			delete(n.indexes, name)
			delete(n.names, i)
		}
	}
}

// manyIndexes is how many virtual indexes there may be before those of names
// that are gone are looked for.
const manyIndexes = 4096

// tidy keeps numbers from growing for ever.
func (n *numbers) tidy(v *view) {
	n.mu.Lock()
	many := len(n.indexes) > manyIndexes || len(n.ports) > len(v.bridges)+manyIndexes
	n.mu.Unlock()
	if many {
		n.forget(v.taken)
	}
}
