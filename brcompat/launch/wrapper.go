package launch

import (
	"errors"
	"os"
	"path/filepath"

	"govs/brcompat/notify"
)

// realName is what the real brctl is called when it stands aside for us in the
// same folder, as dpkg-divert(1) names it.
const realName = "brctl.distrib"

// guard is set in the environment of the real brctl: a wrapper that finds it
// was taken for the real one.
const guard = "BRCOMPAT_BRCTL"

var errNoBrctl = &execError{errors.New("found no brctl in PATH beside this wrapper (is bridge-utils installed?)"), statusNotFound}

// wrapper becomes the real brctl: under the launcher where the daemon runs in
// this network namespace, and otherwise as it is, on the kernel's own bridges.
func wrapper(argv []string) error {
	file, err := findReal()
	if err != nil {
		return err
	}
	if err := os.Setenv(guard, "1"); err != nil {
		return err
	}
	if _, under := probe(); under {
		return program(file, argv)
	}
	c, err := notify.Dial(defaultSocket())
	if errors.Is(err, notify.ErrNoDaemon) || err == nil && elsewhere(c) {
		return program(file, argv)
	}
	if err != nil {
		return err
	}
	o := Options{Sysfs: "auto"}
	return run(c, o.mode(file), false, file, argv)
}

// findReal finds the brctl that is not this program.
func findReal() (string, error) {
	if os.Getenv(guard) != "" {
		return "", errNoBrctl
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	me, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	candidates := []string{filepath.Join(filepath.Dir(self), realName)}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/bin", "/bin") {
		if dir != "" {
			candidates = append(candidates, filepath.Join(dir, realName), filepath.Join(dir, "brctl"))
		}
	}
	for _, file := range candidates {
		st, err := os.Stat(file)
		if err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && !os.SameFile(st, me) {
			return file, nil
		}
	}
	return "", errNoBrctl
}
