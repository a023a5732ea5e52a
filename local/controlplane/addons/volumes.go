package addons

import (
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// provisionerName is what a StorageClass of the local cluster names.
	provisionerName = "localkube.dlagent.io/folder"
	// provisionedBy is the annotation by which the controller-manager knows that a volume
	// is not its own to delete.
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// kindAnnotation keeps a volume's kind for when its class is gone.
	kindAnnotation = "localkube.dlagent.io/kind"
	kindParameter  = "kind"
	// kindFolder is a plain folder, of the size of the disk.
	kindFolder = "folder"
	// kindTmpfs is as large as the claim asks for and no larger: a full disk is real.
	kindTmpfs = "tmpfs"
)

// storageClasses are made when they are missing. Claims that name no class get `local`.
func storageClasses() []*storagev1.StorageClass {
	class := func(name, kind string, annotations map[string]string) *storagev1.StorageClass {
		reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate
		return &storagev1.StorageClass{
			ObjectMeta:  metav1.ObjectMeta{Name: name, Annotations: annotations},
			Provisioner: provisionerName, Parameters: map[string]string{kindParameter: kind},
			ReclaimPolicy: &reclaim, VolumeBindingMode: &binding,
		}
	}
	return []*storagev1.StorageClass{
		class("local", kindFolder, map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}),
		class("local-limited", kindTmpfs, nil),
	}
}

// volumePlan is what to do about all claims and volumes of the cluster.
type volumePlan struct {
	// create needs its folder and then itself.
	create []*corev1.PersistentVolume
	// keep is in use: its folder must be there, also after a restart took its tmpfs away.
	keep []*corev1.PersistentVolume
	// remove goes with its folder.
	remove []*corev1.PersistentVolume
	// refused says why a claim of ours gets no volume.
	refused map[types.NamespacedName]string
}

// planVolumes decides; it reads nothing but its arguments.
func planVolumes(claims []*corev1.PersistentVolumeClaim, volumes []*corev1.PersistentVolume, classes []*storagev1.StorageClass, root string) volumePlan {
	plan := volumePlan{refused: map[types.NamespacedName]string{}}
	existing := map[string]bool{}
	for _, volume := range volumes {
		existing[volume.Name] = true
		if volume.Annotations[provisionedBy] != provisionerName {
			continue
		}
		if released(volume) {
			plan.remove = append(plan.remove, volume)
		} else if volume.Status.Phase != corev1.VolumeReleased {
			plan.keep = append(plan.keep, volume)
		}
	}
	byName := map[string]*storagev1.StorageClass{}
	for _, class := range classes {
		byName[class.Name] = class
	}
	for _, claim := range claims {
		class := classOf(claim, byName)
		if class == nil || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || existing[volumeName(claim)] {
			continue
		}
		if reason := refusal(claim, class); reason != "" {
			plan.refused[types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}] = reason
			continue
		}
		plan.create = append(plan.create, newVolume(claim, class, root))
	}
	return plan
}

// released tells that a volume's claim is gone and that it is to go, too.
func released(volume *corev1.PersistentVolume) bool {
	return volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

// classOf returns the claim's class if it is one of this provisioner's.
func classOf(claim *corev1.PersistentVolumeClaim, classes map[string]*storagev1.StorageClass) *storagev1.StorageClass {
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	class := classes[*claim.Spec.StorageClassName]
	if class == nil || class.Provisioner != provisionerName {
		return nil
	}
	return class
}

func refusal(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) string {
	if mode := claim.Spec.VolumeMode; mode != nil && *mode != corev1.PersistentVolumeFilesystem {
		return fmt.Sprintf("volumeMode %s is not offered", *mode)
	}
	if kind := class.Parameters[kindParameter]; kind != kindFolder && kind != kindTmpfs {
		return fmt.Sprintf("StorageClass %s: parameter %s is %q, not %s or %s", class.Name, kindParameter, kind, kindFolder, kindTmpfs)
	}
	return ""
}

func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

func newVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, root string) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	folder := fmt.Sprintf("%s-%s-%s", claim.Namespace, claim.Name, claim.UID)
	directory := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        volumeName(claim),
			Annotations: map[string]string{provisionedBy: provisionerName, kindAnnotation: class.Parameters[kindParameter]},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(root, folder), Type: &directory},
			},
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
}
