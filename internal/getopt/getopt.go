// Package getopt reads command lines the way the C programs do (getopt_long)
// and hands them to pflag in a form that pflag cannot misread.
//
// [Normalize] rewrites argv for a pflag.FlagSet: every option becomes
// "--name" or "--name=value", abbreviations are completed, "-vX" and "-v" alone
// mean what they mean in C (an optional argument only counts when it is
// attached), and errors have C's texts. A flag takes
//   - no argument where its NoOptDefVal is "true" (booleans) or it is a count;
//   - an optional argument where NoOptDefVal is anything else that is not empty;
//   - an argument otherwise.
//
// A flag whose optional argument is absent becomes "--name" alone, and pflag
// sets it to its NoOptDefVal.
package getopt

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// UsageError is a bad command line; its text is what C prints after "argv0: ".
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

func errorf(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Argument says what follows a flag.
type Argument int

// The kinds of flags.
const (
	None Argument = iota
	Required
	Optional
)

// Kind returns what f takes.
func Kind(f *pflag.Flag) Argument {
	switch {
	case f.Value.Type() == "bool", f.Value.Type() == "count":
		return None
	case f.NoOptDefVal != "":
		return Optional
	}
	return Required
}

// Normalize rewrites args (without argv[0]). Options behind the first
// positional argument count, too, where permute is set; "--" ends them.
// The result is options, then "--", then the positional arguments.
func Normalize(fs *pflag.FlagSet, args []string, permute bool) ([]string, error) {
	opts, rest, err := Split(fs, args, permute)
	if err != nil {
		return nil, err
	}
	return append(append(opts, "--"), rest...), nil
}

// Split is Normalize with the two halves apart.
func Split(fs *pflag.FlagSet, args []string, permute bool) (opts, positional []string, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return opts, append(positional, args[i+1:]...), nil
		case len(a) < 2 || a[0] != '-':
			if !permute {
				return opts, append(positional, args[i:]...), nil
			}
			positional = append(positional, a)
		case strings.HasPrefix(a, "--"):
			used, opt, err := long(fs, a[2:], args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			i += used
			opts = append(opts, opt)
		default:
			used, more, err := short(fs, a[1:], args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			i += used
			opts = append(opts, more...)
		}
	}
	return opts, positional, nil
}

func long(fs *pflag.FlagSet, a string, next []string) (used int, opt string, err error) {
	name, value, attached := strings.Cut(a, "=")
	f := fs.Lookup(name)
	if f == nil {
		var found, hidden []*pflag.Flag
		fs.VisitAll(func(f *pflag.Flag) {
			switch {
			case !strings.HasPrefix(f.Name, name):
			case f.Hidden:
				hidden = append(hidden, f)
			default:
				found = append(found, f)
			}
		})
		if len(found) == 0 { // a hidden one is in nobody's way
			found = hidden
		}
		switch len(found) {
		case 0:
			return 0, "", errorf("unrecognized option '--%s'", name)
		case 1:
			f = found[0]
		default:
			var b strings.Builder
			for _, f := range found {
				fmt.Fprintf(&b, " '--%s'", f.Name)
			}
			return 0, "", errorf("option '--%s' is ambiguous; possibilities:%s", a, b.String())
		}
	}
	switch Kind(f) {
	case None:
		if attached {
			return 0, "", errorf("option '--%s' doesn't allow an argument", f.Name)
		}
		return 0, "--" + f.Name, nil
	case Required:
		if !attached {
			if len(next) == 0 {
				return 0, "", errorf("option '--%s' requires an argument", f.Name)
			}
			return 1, "--" + f.Name + "=" + next[0], nil
		}
	case Optional:
		if !attached {
			return 0, "--" + f.Name, nil
		}
	}
	return 0, "--" + f.Name + "=" + value, nil
}

func short(fs *pflag.FlagSet, a string, next []string) (used int, opts []string, err error) {
	for i := 0; i < len(a); i++ {
		var f *pflag.Flag
		if a[i] < 0x80 && a[i] != '-' {
			f = fs.ShorthandLookup(a[i : i+1])
		}
		if f == nil {
			return 0, nil, errorf("invalid option -- '%c'", a[i])
		}
		value := a[i+1:]
		switch Kind(f) {
		case None:
			opts = append(opts, "--"+f.Name)
			continue
		case Required:
			if value == "" {
				if len(next) == 0 {
					return 0, nil, errorf("option requires an argument -- '%c'", a[i])
				}
				return 1, append(opts, "--"+f.Name+"="+next[0]), nil
			}
		case Optional:
			if value == "" {
				return 0, append(opts, "--"+f.Name), nil
			}
		}
		return 0, append(opts, "--"+f.Name+"="+value), nil
	}
	return 0, opts, nil
}
