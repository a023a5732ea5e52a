package addons

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// proxy writes what renderXDS decides to Envoy's folder.
type proxy struct {
	dir       string
	services  corelisters.ServiceLister
	pods      corelisters.PodLister
	informers []cache.SharedIndexInformer
}

func newProxy(factory informers.SharedInformerFactory, dir string) (*proxy, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	services, pods := factory.Core().V1().Services(), factory.Core().V1().Pods()
	return &proxy{
		dir: dir, services: services.Lister(), pods: pods.Lister(),
		informers: []cache.SharedIndexInformer{services.Informer(), pods.Informer()},
	}, nil
}

func (p *proxy) sync(context.Context) error {
	services, err1 := p.services.List(labels.Everything())
	pods, err2 := p.pods.List(labels.Everything())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return writeFiles(p.dir, renderXDS(services, pods, p.dir))
}

// writeFiles writes what has changed. The bootstrap file comes last, since the launcher
// starts Envoy when it is there; clusters come before the listeners that name them, and
// endpoints before both. Endpoints of Services that are gone are removed at the end.
func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(dir, endpointsDir), 0o755); err != nil {
		return err
	}
	last := []string{clustersFile, listenersFile, bootstrapFile}
	for path, data := range files {
		if filepath.Dir(path) == endpointsDir {
			if err := replace(filepath.Join(dir, path), data); err != nil {
				return err
			}
		}
	}
	for _, path := range last {
		if err := replace(filepath.Join(dir, path), files[path]); err != nil {
			return err
		}
	}
	return removeStale(dir, files)
}

func removeStale(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(filepath.Join(dir, endpointsDir))
	for _, entry := range entries {
		path := filepath.Join(endpointsDir, entry.Name())
		if _, wanted := files[path]; !wanted {
			err = errors.Join(err, os.Remove(filepath.Join(dir, path)))
		}
	}
	return err
}

// replace renames new content over a file, which is what Envoy watches for, and leaves a
// file alone that has that content already.
func replace(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
