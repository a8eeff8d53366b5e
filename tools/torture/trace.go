package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// traced are the system calls that strace records: all by which a program
// changes files or names, or sends an answer.
var traced = []string{
	"openat", "open", "creat", "close", "dup", "dup2", "dup3", "fcntl", "lseek",
	"write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate",
	"fsync", "fdatasync", "sync", "syncfs", "mmap", "msync",
	"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
	"accept", "accept4", "sendto", "sendmsg",
	"copy_file_range", "sendfile", "splice", "io_uring_setup",
}

// tracer is the command line that a server's is put behind, to have a trace of
// system calls in file.
func tracer(file string, calls ...string) ([]string, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, err
	}
	return []string{strace, "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-xx", "-s", "16777216", "-e", "trace=" + strings.Join(calls, ","), "-o", file}, nil
}

// call is a system call of a trace.
type call struct {
	name string
	args []string
	ret  int64
}

// moment is the beginning or the end of a system call.
type moment struct {
	*call
	end bool
}

// readTrace reads what strace wrote: the moments in their order. Of a call that
// never returned there is the beginning only.
func readTrace(r io.Reader) ([]moment, error) {
	type begun struct {
		text string
		*call
	}
	open := map[string]*begun{} // by thread
	var out []moment
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if line == "" && err == io.EOF {
			return out, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		thread, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		if strings.HasPrefix(text, "+++") || strings.HasPrefix(text, "---") {
			continue
		}
		b := open[thread]
		if rest, ok := strings.CutPrefix(text, "<... "); ok {
			_, rest, ok = strings.Cut(rest, " resumed>")
			if b == nil || !ok {
				return nil, fmt.Errorf("strace resumed a call that did not begin: %.200q", line)
			}
			text = b.text + rest
		} else {
			b = &begun{call: &call{}}
			out = append(out, moment{b.call, false})
		}
		head, unfinished := strings.CutSuffix(text, " <unfinished ...>")
		if !unfinished {
			head, unfinished = strings.CutSuffix(text, " <detached ...>")
		}
		if !unfinished {
			at := strings.LastIndex(text, " = ")
			if at < 0 {
				return nil, fmt.Errorf("strace wrote a call without its result: %.200q", line)
			}
			ret, _, _ := strings.Cut(text[at+len(" = "):], " ")
			if b.ret, err = strconv.ParseInt(ret, 0, 64); err != nil {
				b.ret = -1 // an address, or "?"
			}
			if head, unfinished = strings.CutSuffix(strings.TrimRight(text[:at], " "), ")"); !unfinished {
				return nil, fmt.Errorf("strace wrote %.200q", line)
			}
			out = append(out, moment{b.call, true})
			delete(open, thread)
		} else {
			b.text = head
			open[thread] = b
		}
		name, args, ok := strings.Cut(head, "(")
		if !ok {
			return nil, fmt.Errorf("strace wrote %.200q", line)
		}
		b.name, b.args = name, split(args)
	}
}

// split splits arguments at the commas that stand outside of brackets and quotes.
func split(s string) []string {
	var out []string
	depth, quoted, start := 0, false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted // within quotes all is hexadecimal
		case quoted:
		case c == '{' || c == '[' || c == '(':
			depth++
		case c == '}' || c == ']' || c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

// fd is an argument that is a file descriptor, or another number.
func (c *call) number(i int) int64 {
	if i >= len(c.args) {
		return -1
	}
	n, err := strconv.ParseInt(c.args[i], 0, 64)
	if err != nil {
		return -1
	}
	return n
}

// data is what the quoted parts of an argument say, one behind the other.
func (c *call) data(i int) []byte {
	var out []byte
	for k, part := range strings.Split(c.args[i], `"`) {
		if k%2 == 0 {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, `\x`, ""))
		if err != nil {
			panic("strace was asked for hexadecimal digits and wrote " + part)
		}
		out = append(out, b...)
	}
	return out
}

// has says whether an argument of flags has one.
func (c *call) has(i int, flag string) bool {
	return i < len(c.args) && slices.Contains(strings.Split(c.args[i], "|"), flag)
}
