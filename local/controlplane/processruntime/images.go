package processruntime

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Image is one entry of the images file, which the launcher writes.
type Image struct {
	// Name is the reference that pods use, with its tag.
	Name string `json:"name"`
	// Folders of the host that the container sees read-only.
	Folders    []Folder          `json:"folders"`
	Env        map[string]string `json:"env"`
	Entrypoint []string          `json:"entrypoint"`
	WorkingDir string            `json:"workingDir"`
	// User is "uid" or "uid:gid", for pods that name none; root's if empty.
	User string `json:"user"`
}

// Folder is a folder of the host at a path in the container.
type Folder struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// id is the digest of the whole entry, so that a pod's imageID tells which entry it ran.
func (i *Image) id() string {
	data, _ := json.Marshal(i)
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data))
}

// ids parses User.
func (i *Image) ids() (uid, gid int64, err error) {
	if i.User == "" {
		return 0, 0, nil
	}
	user, group, both := strings.Cut(i.User, ":")
	if uid, err = strconv.ParseInt(user, 10, 32); err == nil && both {
		gid, err = strconv.ParseInt(group, 10, 32)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("image %s: user %q is not uid or uid:gid", i.Name, i.User)
	}
	return uid, gid, nil
}

// matches tells whether a reference that kubelet uses means this image.
func (i *Image) matches(ref string) bool {
	id := i.id()
	return ref == i.Name || ref+":latest" == i.Name || ref == id || strings.HasSuffix(ref, "@"+id)
}

func (i *Image) toCRI() *runtimeapi.Image {
	out := &runtimeapi.Image{
		Size: 1, // kubelet takes 0 for an answer without a size; the folders are not measured
		Id:   i.id(), RepoTags: []string{i.Name}, RepoDigests: []string{repository(i.Name) + "@" + i.id()},
		Spec: &runtimeapi.ImageSpec{Image: i.Name},
	}
	if uid, _, err := i.ids(); err == nil {
		out.Uid = &runtimeapi.Int64Value{Value: uid}
	}
	return out
}

// repository is a reference without its tag.
func repository(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}

// imageFile reads the images file and reads it again when it has changed.
type imageFile struct {
	path string

	mu       sync.Mutex
	modified time.Time
	size     int64
	images   []Image
}

func (f *imageFile) list() ([]Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if info.ModTime().Equal(f.modified) && info.Size() == f.size {
		return f.images, nil
	}
	images, err := readImages(f.path)
	if err != nil {
		return nil, err
	}
	f.images, f.modified, f.size = images, info.ModTime(), info.Size()
	return images, nil
}

// find returns nil where the file has no such image.
func (f *imageFile) find(ref string) (*Image, error) {
	images, err := f.list()
	if err != nil {
		return nil, err
	}
	for i := range images {
		if images[i].matches(ref) {
			return &images[i], nil
		}
	}
	return nil, nil
}

func readImages(path string) ([]Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var content struct {
		Images []Image `json:"images"`
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, image := range content.Images {
		if _, _, err := image.ids(); err != nil || image.Name == "" {
			return nil, fmt.Errorf("%s: image %q: bad name or user", path, image.Name)
		}
	}
	return content.Images, nil
}
