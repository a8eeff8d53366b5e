package mac

import "container/heap"

// The two queues that a learned entry stands in.
const (
	inAll = iota
	inPort
)

// A queue is a heap of learned entries, the one that was queued with the
// oldest time first.
type queue struct {
	which   int
	entries []*entry
}

func (q *queue) Len() int { return len(q.entries) }

func (q *queue) Less(i, j int) bool { return q.entries[i].queued < q.entries[j].queued }

func (q *queue) Swap(i, j int) {
	e := q.entries
	e[i], e[j] = e[j], e[i]
	e[i].index[q.which], e[j].index[q.which] = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index[q.which] = len(q.entries)
	q.entries = append(q.entries, e)
}

func (q *queue) Pop() any {
	n := len(q.entries) - 1
	e := q.entries[n]
	q.entries[n] = nil
	q.entries = q.entries[:n]
	return e
}

// requeue puts an entry in its place again that was heard since it was queued.
func (t *Table) requeue(e *entry) {
	e.queued = e.used.Load()
	heap.Fix(&t.all, e.index[inAll])
	heap.Fix(&e.port.queue, e.index[inPort])
}

// A portList has a port's learned entries. It is kept as long as any entry,
// static ones too, is on the port.
type portList struct {
	name  string
	queue queue
	refs  int
	index int // in Table.big
}

// A portHeap has the port with the most learned entries first.
type portHeap []*portList

func (h portHeap) Len() int           { return len(h) }
func (h portHeap) Less(i, j int) bool { return len(h[i].queue.entries) > len(h[j].queue.entries) }
func (h portHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *portHeap) Push(x any) {
	p := x.(*portList)
	p.index = len(*h)
	*h = append(*h, p)
}

func (h *portHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}

// attach puts the entry on the port.
func (t *Table) attach(e *entry, port string) {
	p := t.ports[port]
	if p == nil {
		p = &portList{name: port, queue: queue{which: inPort}}
		t.ports[port] = p
		heap.Push(&t.big, p)
	}
	e.port = p
	p.refs++
	if !e.static {
		heap.Push(&p.queue, e)
		heap.Fix(&t.big, p.index)
	}
}

func (t *Table) detach(e *entry) {
	p := e.port
	p.refs--
	if !e.static {
		heap.Remove(&p.queue, e.index[inPort])
	}
	if p.refs == 0 {
		heap.Remove(&t.big, p.index)
		delete(t.ports, p.name)
		return
	}
	heap.Fix(&t.big, p.index)
}

func (t *Table) insert(w where, port string, at int64, static bool) *entry {
	e := &entry{where: w, queued: at, moved: at, static: static}
	e.used.Store(at)
	t.entries[w] = e
	if static {
		t.static++
	} else {
		heap.Push(&t.all, e)
	}
	t.attach(e, port)
	return e
}

func (t *Table) remove(e *entry) {
	delete(t.entries, e.where)
	t.detach(e)
	if e.static {
		t.static--
	} else {
		heap.Remove(&t.all, e.index[inAll])
	}
}

func (t *Table) move(e *entry, port string, at int64) {
	t.detach(e)
	e.moved, e.lock = at, 0
	e.touch(at)
	e.queued = e.used.Load()
	heap.Fix(&t.all, e.index[inAll])
	t.attach(e, port)
}

// evict removes the entry that was silent for longest on the port that has
// the most learned entries. It returns false where there is none.
func (t *Table) evict() bool {
	if len(t.big) == 0 {
		return false
	}
	q := &t.big[0].queue
	if len(q.entries) == 0 {
		return false
	}
	for q.entries[0].used.Load() != q.entries[0].queued {
		t.requeue(q.entries[0])
	}
	t.remove(q.entries[0])
	t.stats.Evicted++
	return true
}
