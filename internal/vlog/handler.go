package vlog

import (
	"context"
	"log/slog"
	"strings"
)

// handler is the slog.Handler of one module.
type handler struct {
	sys    *System
	mod    *module
	prefix string // " key=value" of the logger's own attributes
	group  string // "group." of WithGroup
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return level(h.mod.min.Load()) >= fromSlog(l)
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	if h.prefix != "" || r.NumAttrs() > 0 {
		var b strings.Builder
		b.WriteString(text)
		b.WriteString(h.prefix)
		r.Attrs(func(a slog.Attr) bool {
			appendAttr(&b, h.group, a)
			return true
		})
		text = b.String()
	}
	when := r.Time
	if when.IsZero() {
		when = h.sys.now()
	}
	h.sys.write(h.mod, fromSlog(r.Level), when, text)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.prefix)
	for _, a := range attrs {
		appendAttr(&b, h.group, a)
	}
	n := *h
	n.prefix = b.String()
	return &n
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.group = h.group + name + "."
	return &n
}

func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Key == "" && v.Kind() != slog.KindGroup {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, g := range v.Group() {
			appendAttr(b, group, g)
		}
		return
	}
	b.WriteByte(' ')
	b.WriteString(group)
	b.WriteString(a.Key)
	b.WriteByte('=')
	s := v.String()
	if s == "" || strings.ContainsAny(s, " \"=\n\t") {
		b.WriteString(quote(s))
		return
	}
	b.WriteString(s)
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
