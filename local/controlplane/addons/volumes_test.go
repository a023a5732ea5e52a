package addons

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const root = "/volumes"

func claim(name, class string, change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("8Mi")}},
		},
	}
	if change != nil {
		change(c)
	}
	return c
}

func volume(name string, phase corev1.PersistentVolumePhase, change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := newVolume(claim(name, "local", nil), storageClasses()[0], root)
	v.Status.Phase = phase
	if change != nil {
		change(v)
	}
	return v
}

func TestPlanVolumes(t *testing.T) {
	other := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Provisioner: "example.com/other"}
	wrong := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "wrong"}, Provisioner: provisionerName, Parameters: map[string]string{kindParameter: "cloud"}}
	classes := append(storageClasses(), other, wrong)
	block := corev1.PersistentVolumeBlock
	for name, test := range map[string]struct {
		claims               []*corev1.PersistentVolumeClaim
		volumes              []*corev1.PersistentVolume
		create, keep, remove []string
		refused              []string
	}{
		"nothing":                    {},
		"new claim":                  {claims: list(claim("a", "local", nil)), create: []string{"pvc-uid-a"}},
		"two classes":                {claims: list(claim("a", "local", nil), claim("b", "local-limited", nil)), create: []string{"pvc-uid-a", "pvc-uid-b"}},
		"another's class":            {claims: list(claim("a", "other", nil))},
		"unknown class":              {claims: list(claim("a", "missing", nil))},
		"no class":                   {claims: list(claim("a", "", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }))},
		"class with a wrong kind":    {claims: list(claim("a", "wrong", nil)), refused: []string{"a"}},
		"block volume":               {claims: list(claim("a", "local", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block })), refused: []string{"a"}},
		"claim of a named volume":    {claims: list(claim("a", "local", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "mine" }))},
		"claim being deleted":        {claims: list(claim("a", "local", func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }))},
		"volume made, not bound yet": {claims: list(claim("a", "local", nil)), volumes: list(volume("a", corev1.VolumeAvailable, nil)), keep: []string{"pvc-uid-a"}},
		"bound":                      {volumes: list(volume("a", corev1.VolumeBound, nil)), keep: []string{"pvc-uid-a"}},
		"released":                   {volumes: list(volume("a", corev1.VolumeReleased, nil)), remove: []string{"pvc-uid-a"}},
		"released, to be retained": {volumes: list(volume("a", corev1.VolumeReleased, func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}))},
		"another's volume": {volumes: list(volume("a", corev1.VolumeReleased, func(v *corev1.PersistentVolume) { v.Annotations = nil }))},
		"claim made anew under its old name": {
			claims:  list(claim("a", "local", func(c *corev1.PersistentVolumeClaim) { c.UID = "second" })),
			volumes: list(volume("a", corev1.VolumeReleased, nil)),
			create:  []string{"pvc-second"}, remove: []string{"pvc-uid-a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := planVolumes(test.claims, test.volumes, classes, root)
			for what, pair := range map[string][2][]string{
				"create": {names(plan.create), test.create}, "keep": {names(plan.keep), test.keep}, "remove": {names(plan.remove), test.remove},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s %v, want %v", what, pair[0], pair[1])
				}
			}
			var refused []string
			for key := range plan.refused {
				refused = append(refused, key.Name)
			}
			if !slices.Equal(refused, test.refused) {
				t.Errorf("refused %v, want %v", plan.refused, test.refused)
			}
		})
	}
}

func TestNewVolume(t *testing.T) {
	got := newVolume(claim("a", "local-limited", nil), storageClasses()[1], root)
	if got.Spec.HostPath.Path != "/volumes/ns-a-uid-a" || got.Annotations[kindAnnotation] != kindTmpfs {
		t.Errorf("path %s, kind %s", got.Spec.HostPath.Path, got.Annotations[kindAnnotation])
	}
	if ref := got.Spec.ClaimRef; ref.UID != "uid-a" || ref.Namespace != "ns" || ref.Name != "a" {
		t.Errorf("claim %+v", ref)
	}
	if size := got.Spec.Capacity[corev1.ResourceStorage]; size.Value() != 8<<20 || got.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("size %v, reclaim %s", size, got.Spec.PersistentVolumeReclaimPolicy)
	}
}

const childVariable = "ADDONS_TEST_CHILD"

// TestFolders mounts and unmounts, so it runs itself again in a mount namespace of its own.
func TestFolders(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", self, "-test.run=^TestFolders$")
		cmd.Env = append(os.Environ(), childVariable+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	for i, class := range storageClasses() {
		v := newVolume(claim("a", class.Name, nil), class, dir)
		path := v.Spec.HostPath.Path
		for range 2 { // the second time there is nothing to do
			if err := ensureFolder(v); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("%s: %v %v", class.Name, info, err)
		}
		full := strings.Repeat("x", 9<<20)
		if err := os.WriteFile(filepath.Join(path, "file"), []byte(full), 0o600); (err != nil) != (i == 1) {
			t.Errorf("%s: writing 9 MiB of 8: %v", class.Name, err)
		}
		if err := removeFolder(path); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func list[T any](items ...T) []T { return items }

func names(volumes []*corev1.PersistentVolume) []string {
	var out []string
	for _, v := range volumes {
		out = append(out, v.Name)
	}
	return out
}
