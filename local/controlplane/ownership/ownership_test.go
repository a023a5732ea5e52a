package ownership

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const childVariable = "OWNERSHIP_TEST_CHILD"

// TestIgnoreChown runs itself again in a user namespace with one user: the filter cannot be
// taken off, and there chown to another user fails without it.
func TestIgnoreChown(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		chownToAnother(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--user", "--map-root-user", self, "-test.run=^TestIgnoreChown$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func chownToAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Chown(path, 65532, 65532) == nil {
		t.Fatal("chown succeeds without the filter: the test proves nothing")
	}
	if err := IgnoreChown(); err != nil {
		t.Fatal(err)
	}
	for name, chown := range map[string]func(string, int, int) error{"chown": os.Chown, "lchown": os.Lchown} {
		if err := chown(path, 65532, 65532); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Sys() == nil {
		t.Errorf("stat after chown: %v", err)
	}
}
