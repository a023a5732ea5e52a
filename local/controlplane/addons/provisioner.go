package addons

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
)

// provisioner carries out what planVolumes decides.
type provisioner struct {
	client    kubernetes.Interface
	root      string
	log       *slog.Logger
	claims    corelisters.PersistentVolumeClaimLister
	volumes   corelisters.PersistentVolumeLister
	classes   storagelisters.StorageClassLister
	informers []cache.SharedIndexInformer
}

func newProvisioner(client kubernetes.Interface, factory informers.SharedInformerFactory, root string, log *slog.Logger) *provisioner {
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()
	return &provisioner{
		client: client, root: root, log: log,
		claims: claims.Lister(), volumes: volumes.Lister(), classes: classes.Lister(),
		informers: []cache.SharedIndexInformer{claims.Informer(), volumes.Informer(), classes.Informer()},
	}
}

func (p *provisioner) sync(ctx context.Context) error {
	if err := p.ensureClasses(ctx); err != nil {
		return err
	}
	claims, err1 := p.claims.List(labels.Everything())
	volumes, err2 := p.volumes.List(labels.Everything())
	classes, err3 := p.classes.List(labels.Everything())
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	plan := planVolumes(claims, volumes, classes, p.root)
	for claim, reason := range plan.refused {
		p.log.Warn("no volume", "claim", claim, "reason", reason)
	}
	var errs []error
	for _, volume := range plan.keep {
		errs = append(errs, ensureFolder(volume))
	}
	for _, volume := range plan.create {
		errs = append(errs, p.create(ctx, volume))
	}
	for _, volume := range plan.remove {
		errs = append(errs, p.remove(ctx, volume))
	}
	return errors.Join(errs...)
}

func (p *provisioner) ensureClasses(ctx context.Context) error {
	for _, class := range storageClasses() {
		if _, err := p.classes.Get(class.Name); err == nil {
			continue
		}
		_, err := p.client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (p *provisioner) create(ctx context.Context, volume *corev1.PersistentVolume) error {
	if err := ensureFolder(volume); err != nil {
		return err
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	p.log.Info("volume made", "path", volume.Spec.HostPath.Path, "error", err)
	return err
}

// remove deletes the folder first: should the second step fail, the volume is still there
// to tell that there is something to remove.
func (p *provisioner) remove(ctx context.Context, volume *corev1.PersistentVolume) error {
	path := volume.Spec.HostPath.Path
	if filepath.Dir(path) != filepath.Clean(p.root) {
		return fmt.Errorf("volume %s: %s is not in %s", volume.Name, path, p.root)
	}
	if err := removeFolder(path); err != nil {
		return err
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &volume.UID},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	p.log.Info("volume removed", "path", path, "error", err)
	return err
}

// ensureFolder makes a volume's folder, with its tmpfs if it is of that kind.
func ensureFolder(volume *corev1.PersistentVolume) error {
	path := volume.Spec.HostPath.Path
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	if volume.Annotations[kindAnnotation] == kindTmpfs {
		mounted, err := isMountPoint(path)
		if mounted || err != nil {
			return err
		}
		size := volume.Spec.Capacity[corev1.ResourceStorage]
		return unix.Mount("tmpfs", path, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, fmt.Sprintf("size=%d,mode=0777", size.Value()))
	}
	return os.Chmod(path, 0o777) // whatever the umask was
}

func removeFolder(path string) error {
	for {
		mounted, err := isMountPoint(path)
		if err != nil {
			return err
		}
		if !mounted {
			return os.RemoveAll(path)
		}
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}

// isMountPoint compares devices; a path that is not there is none.
func isMountPoint(path string) (bool, error) {
	var self, parent unix.Stat_t
	if err := unix.Lstat(path, &self); errors.Is(err, unix.ENOENT) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	err := unix.Lstat(filepath.Dir(path), &parent)
	return self.Dev != parent.Dev, err
}
