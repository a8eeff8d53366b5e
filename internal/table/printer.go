package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Printer prints tables one after the other to the same writer.
type Printer struct {
	Style Style
	w     io.Writer
	more  bool // a table was printed before
}

// NewPrinter returns a printer on w.
func NewPrinter(w io.Writer, style Style) *Printer { return &Printer{Style: style, w: w} }

// Fprint prints a single table.
func Fprint(w io.Writer, style Style, t *Table) error { return NewPrinter(w, style).Print(t) }

// Print prints one table.
func (p *Printer) Print(t *Table) error {
	for i, row := range t.Rows {
		if len(row) != len(t.Headings) {
			return fmt.Errorf("table: row %d has %d cells under %d headings", i, len(row), len(t.Headings))
		}
	}
	w := bufio.NewWriter(p.w)
	if p.more && (p.Style.Format == FormatTable || p.Style.Format == FormatList || p.Style.Format == FormatCSV) {
		_ = w.WriteByte('\n')
	}
	p.more = true
	switch p.Style.Format {
	case FormatTable:
		p.table(w, t)
	case FormatList:
		p.list(w, t)
	case FormatHTML:
		p.html(w, t)
	case FormatCSV:
		p.csv(w, t)
	case FormatJSON:
		if err := p.json(w, t); err != nil {
			return err
		}
	}
	return w.Flush()
}

// text is a cell in the text formats.
func (p *Printer) text(c *Cell) string {
	switch {
	case p.Style.Cell == CellBare && c.HasBare:
		return c.Bare
	case p.Style.Cell == CellJSON && c.JSON != nil && string(c.JSON) != "null": // null: no value
		return string(c.JSON)
	}
	return c.Text
}

func title(w *bufio.Writer, t *Table) {
	if t.Timestamp != "" {
		fmt.Fprintln(w, t.Timestamp)
	}
	if t.Caption != "" {
		fmt.Fprintln(w, t.Caption)
	}
}

func (p *Printer) table(w *bufio.Writer, t *Table) {
	title(w, t)
	widths := make([]int, len(t.Headings))
	for _, row := range t.Rows {
		for i := range row {
			n := len(p.text(&row[i]))
			if m := p.Style.MaxColumnWidth; m > 0 && n > m {
				n = m
			}
			widths[i] = max(widths[i], n)
		}
	}
	if !p.Style.NoHeadings {
		for i, h := range t.Headings {
			widths[i] = max(widths[i], len(h))
		}
	}
	line := func(cell func(i int) string) {
		var b []byte
		for i := range t.Headings {
			s := cell(i)
			if len(s) > widths[i] {
				s = s[:widths[i]]
			}
			if i > 0 {
				b = append(b, ' ')
			}
			b = append(b, s...)
			b = append(b, strings.Repeat(" ", widths[i]-len(s))...)
		}
		_, _ = w.Write(bytes.TrimRight(b, " ")) // no line ends in blanks, not even a value's
		_ = w.WriteByte('\n')
	}
	if !p.Style.NoHeadings {
		line(func(i int) string { return t.Headings[i] })
		line(func(i int) string { return strings.Repeat("-", widths[i]) })
	}
	for _, row := range t.Rows {
		line(func(i int) string { return p.text(&row[i]) })
	}
}

func (p *Printer) list(w *bufio.Writer, t *Table) {
	title(w, t)
	for n, row := range t.Rows {
		if n > 0 {
			_ = w.WriteByte('\n')
		}
		for i := range row {
			if !p.Style.NoHeadings {
				fmt.Fprintf(w, "%-20s: ", t.Headings[i])
			}
			fmt.Fprintln(w, p.text(&row[i]))
		}
	}
}

func (p *Printer) csv(w *bufio.Writer, t *Table) {
	title(w, t)
	line := func(cell func(i int) string) {
		for i := range t.Headings {
			if i > 0 {
				_ = w.WriteByte(',')
			}
			s := cell(i)
			if strings.ContainsAny(s, "\",\n\r") {
				s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
			}
			_, _ = w.WriteString(s)
		}
		_ = w.WriteByte('\n')
	}
	if !p.Style.NoHeadings {
		line(func(i int) string { return t.Headings[i] })
	}
	for _, row := range t.Rows {
		line(func(i int) string { return p.text(&row[i]) })
	}
}

func (p *Printer) html(w *bufio.Writer, t *Table) {
	if t.Timestamp != "" {
		fmt.Fprintln(w, t.Timestamp)
	}
	fmt.Fprintln(w, "<table border=1>")
	if t.Caption != "" {
		fmt.Fprintf(w, "    <caption>%s</caption>\n", escape(t.Caption))
	}
	if !p.Style.NoHeadings {
		fmt.Fprintln(w, "  <tr>")
		for _, h := range t.Headings {
			fmt.Fprintf(w, "    <th>%s</th>\n", escape(h))
		}
		fmt.Fprintln(w, "  </tr>")
	}
	for _, row := range t.Rows {
		fmt.Fprintln(w, "  <tr>")
		for i := range row {
			s := p.text(&row[i])
			if t.Headings[i] == "_uuid" {
				s = fmt.Sprintf(`<a name="%s">%s</a>`, escape(s), escape(s[:min(8, len(s))]))
			} else {
				s = links(s)
			}
			fmt.Fprintf(w, "    <td>%s</td>\n", s)
		}
		fmt.Fprintln(w, "  </tr>")
	}
	fmt.Fprintln(w, "</table>")
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escaper.Replace(s) }

const uuidLen = 36

// links escapes s and makes a link of each UUID in it.
func links(s string) string {
	var b strings.Builder
	from := 0
	for i := 0; i+uuidLen <= len(s); i++ {
		if !isUUID(s[i : i+uuidLen]) {
			continue
		}
		b.WriteString(escape(s[from:i]))
		fmt.Fprintf(&b, `<a href="#%s">%s</a>`, s[i:i+uuidLen], s[i:i+8])
		from = i + uuidLen
		i = from - 1
	}
	b.WriteString(escape(s[from:]))
	return b.String()
}

func isUUID(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

func (p *Printer) json(w *bufio.Writer, t *Table) error {
	var b bytes.Buffer
	b.WriteByte('{')
	if t.Caption != "" {
		b.WriteString(`"caption":`)
		b.Write(quote(t.Caption))
		b.WriteByte(',')
	}
	b.WriteString(`"data":[`)
	for n, row := range t.Rows {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		for i := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			if row[i].JSON == nil {
				b.Write(quote(row[i].Text))
				continue
			}
			if err := json.Compact(&b, row[i].JSON); err != nil {
				return fmt.Errorf("table: cell %q: %w", row[i].JSON, err)
			}
		}
		b.WriteByte(']')
	}
	b.WriteString(`],"headings":[`)
	for i, h := range t.Headings {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(h))
	}
	b.WriteByte(']')
	if t.Timestamp != "" {
		b.WriteString(`,"time":`)
		b.Write(quote(t.Timestamp))
	}
	b.WriteByte('}')
	out := b.Bytes()
	if p.Style.Pretty {
		out = Pretty(out)
	}
	_, _ = w.Write(out)
	_ = w.WriteByte('\n')
	return nil
}

// quote is s as a JSON string, with <, > and & as they are.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return []byte(`""`) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Pretty lays out a compact JSON text as the C programs do under --pretty: each
// member and element on a line of its own, closing brackets behind the last one.
func Pretty(compact []byte) []byte {
	var b bytes.Buffer
	depth, inString := 0, false
	line := func() {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat("  ", depth))
	}
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		if inString {
			b.WriteByte(c)
			switch c {
			case '\\':
				i++
				b.WriteByte(compact[i])
			case '"':
				inString = false
			}
			continue
		}
		b.WriteByte(c)
		switch c {
		case '"':
			inString = true
		case '[', '{':
			if i+1 < len(compact) && compact[i+1] == ']' {
				i++
				b.WriteByte(compact[i])
				continue
			}
			depth++
			line()
		case ']', '}':
			depth--
		case ',':
			line()
		case ':':
			b.WriteByte(' ')
		}
	}
	return b.Bytes()
}
