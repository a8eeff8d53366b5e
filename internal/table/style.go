package table

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// Format is how a table is laid out.
type Format int

// The formats of -f.
const (
	FormatTable Format = iota
	FormatList
	FormatHTML
	FormatCSV
	FormatJSON
)

var formatNames = [...]string{"table", "list", "html", "csv", "json"}

func (f Format) String() string { return formatNames[f] }

// CellFormat is how a value becomes text, outside FormatJSON.
type CellFormat int

// The formats of -d.
const (
	CellString CellFormat = iota
	CellBare
	CellJSON
)

var cellNames = [...]string{"string", "bare", "json"}

func (f CellFormat) String() string { return cellNames[f] }

// Style is what the table options choose. The zero value is FormatTable with
// headings; ovs-vsctl's default Format is FormatList.
type Style struct {
	Format         Format
	Cell           CellFormat
	NoHeadings     bool
	Pretty         bool // FormatJSON: one value a line
	MaxColumnWidth int  // FormatTable: cut cells to so many bytes; 0: never
}

// Flags binds -f, -d, --no-headings, --pretty, --bare and --max-column-width.
func (s *Style) Flags(fs *pflag.FlagSet) {
	fs.VarP(&setter{s.Format.String, s.setFormat}, "format", "f", "set output formatting to FORMAT (\"table\", \"html\", \"csv\", \"json\" or \"list\")")
	fs.VarP(&setter{s.Cell.String, s.setCell}, "data", "d", "set table cell output formatting to FORMAT (\"string\", \"bare\", or \"json\")")
	fs.BoolVar(&s.NoHeadings, "no-headings", s.NoHeadings, "omit table heading row")
	fs.BoolVar(&s.Pretty, "pretty", s.Pretty, "pretty-print JSON in output")
	fs.Var(&bareFlag{s}, "bare", "equivalent to \"--format=list --data=bare --no-headings\"")
	fs.Lookup("bare").NoOptDefVal = "true"
	fs.Var(&setter{func() string { return "0" }, s.setWidth}, "max-column-width", "for table format, truncate columns to LEN")
}

func (s *Style) setFormat(v string) error {
	for i, n := range formatNames {
		if n == v {
			s.Format = Format(i)
			return nil
		}
	}
	return fmt.Errorf("unknown output format %q", v)
}

func (s *Style) setCell(v string) error {
	for i, n := range cellNames {
		if n == v {
			s.Cell = CellFormat(i)
			return nil
		}
	}
	return fmt.Errorf("unknown data format %q", v)
}

// setWidth reads what atoi(3) would: a word that is no number means no limit.
func (s *Style) setWidth(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		n = 0
	}
	s.MaxColumnWidth = n
	return nil
}

type setter struct {
	get func() string
	set func(string) error
}

func (v *setter) String() string {
	if v.get == nil {
		return ""
	}
	return v.get()
}
func (v *setter) Set(s string) error { return v.set(s) }
func (v *setter) Type() string       { return "string" }

type bareFlag struct{ s *Style }

func (b *bareFlag) String() string   { return "false" }
func (b *bareFlag) Type() string     { return "bool" }
func (b *bareFlag) IsBoolFlag() bool { return true }
func (b *bareFlag) Set(v string) error {
	on, err := strconv.ParseBool(v)
	if err == nil && on {
		b.s.Format, b.s.Cell, b.s.NoHeadings = FormatList, CellBare, true
	}
	return err
}
