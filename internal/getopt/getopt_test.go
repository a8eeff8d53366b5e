package getopt

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringP("target", "t", "", "")
	fs.StringP("timeout", "T", "", "")
	fs.BoolP("help", "h", false, "")
	fs.CountP("count", "n", "")
	fs.StringArrayP("verbose", "v", nil, "")
	fs.Lookup("verbose").NoOptDefVal = " "
	return fs
}

func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		in, out string
		permute bool
	}{
		{"-t a b", "--target=a -- b", true},
		{"-ta -h b -v c -vANY:console:EMER", "--target=a --help --verbose --verbose=ANY:console:EMER -- b c", true},
		{"-ta b -v", "--target=a -- b -v", false},
		{"-hvx -hnn", "--help --verbose=x --help --count --count --", true},
		{"--verbose --verbose=a:b --tar=q --target q2", "--verbose --verbose=a:b --target=q --target=q2 --", true},
		{"a -- -v --x", "-- a -v --x", true},
		{"- -t -v", "--target=-v -- -", true},
		{"--zzz", "unrecognized option '--zzz'", true},
		{"--t=x", "option '--t=x' is ambiguous; possibilities: '--target' '--timeout'", true},
		{"--help=1", "option '--help' doesn't allow an argument", true},
		{"-t", "option requires an argument -- 't'", true},
		{"--target", "option '--target' requires an argument", true},
		{"-hz", "invalid option -- 'z'", true},
	} {
		fs := flags()
		got, err := Normalize(fs, strings.Fields(c.in), c.permute)
		text := strings.Join(got, " ")
		if err != nil {
			var ue *UsageError
			if !errors.As(err, &ue) {
				t.Errorf("%s: %T", c.in, err)
			}
			text = err.Error()
		} else if err := fs.Parse(got); err != nil {
			t.Errorf("%s: pflag: %v", c.in, err)
		}
		if text != c.out {
			t.Errorf("%s:\ngot  %s\nwant %s", c.in, text, c.out)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("-vANY:console:EMER\x00--tar=x\x00y")
	f.Add("--\x00-v")
	f.Add("-\x00\x00--=\x00-=")
	f.Fuzz(func(t *testing.T, line string) {
		fs := flags()
		got, err := Normalize(fs, strings.Split(line, "\x00"), true)
		if err == nil {
			if err := fs.Parse(got); err != nil {
				t.Errorf("%q became %q, which pflag rejects: %v", line, got, err)
			}
		}
	})
}
