package addons

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: corev1.ServiceSpec{
			ClusterIP: "127.96.0.9", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 8080, TargetPort: intstr.FromString("http")}},
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

func pod(ip string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod-" + ip, Labels: map[string]string{"app": "web", "more": "labels"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}}}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if change != nil {
		change(p)
	}
	return p
}

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

func TestEndpoints(t *testing.T) {
	byNumber := func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(9000) }
	publish := func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }
	for name, test := range map[string]struct {
		service func(*corev1.Service)
		pods    []*corev1.Pod
		want    []endpoint
	}{
		"none":                   {},
		"in order":               {pods: list(pod("127.1.0.2", nil), pod("127.1.0.1", nil)), want: []endpoint{{"127.1.0.1", 8000}, {"127.1.0.2", 8000}}},
		"port by number":         {service: byNumber, pods: list(pod("127.1.0.1", nil)), want: []endpoint{{"127.1.0.1", 9000}}},
		"port not given":         {service: func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.IntOrString{} }, pods: list(pod("127.1.0.1", nil)), want: []endpoint{{"127.1.0.1", 8080}}},
		"pod without the name":   {pods: list(pod("127.1.0.1", func(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil }))},
		"not ready":              {pods: list(pod("127.1.0.1", unready))},
		"not ready, published":   {service: publish, pods: list(pod("127.1.0.1", unready)), want: []endpoint{{"127.1.0.1", 8000}}},
		"terminating":            {pods: list(pod("127.1.0.1", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }))},
		"finished":               {service: publish, pods: list(pod("127.1.0.1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }))},
		"no address yet":         {service: publish, pods: list(pod("", nil))},
		"of another namespace":   {pods: list(pod("127.1.0.1", func(p *corev1.Pod) { p.Namespace = "other" }))},
		"of another application": {pods: list(pod("127.1.0.1", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "x"} }))},
	} {
		t.Run(name, func(t *testing.T) {
			s := service(test.service)
			if got := endpoints(s, s.Spec.Ports[0], test.pods); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRenderXDSChoosesServices(t *testing.T) {
	for name, test := range map[string]struct {
		change    func(*corev1.Service)
		listeners int
	}{
		"usual":            {nil, 1},
		"two ports":        {func(s *corev1.Service) { s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: 8081}) }, 2},
		"headless":         {func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }, 0},
		"no address yet":   {func(s *corev1.Service) { s.Spec.ClusterIP = "" }, 0},
		"no selector":      {func(s *corev1.Service) { s.Spec.Selector = nil }, 0},
		"privileged port":  {func(s *corev1.Service) { s.Spec.Ports[0].Port = 443 }, 0},
		"UDP":              {func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP }, 0},
		"a name elsewhere": {func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			files := renderXDS(list(service(test.change)), nil, "/envoy")
			for _, file := range []string{listenersFile, clustersFile} {
				var content struct{ Resources []object }
				if err := json.Unmarshal(files[file], &content); err != nil {
					t.Fatal(err)
				}
				if len(content.Resources) != test.listeners {
					t.Errorf("%s has %d resources, want %d", file, len(content.Resources), test.listeners)
				}
			}
			if len(files) != 3+test.listeners {
				t.Errorf("%d files", len(files))
			}
		})
	}
}

// TestWriteFilesTouchesOnlyWhatChanged: each rename makes Envoy read a file again.
func TestWriteFilesTouchesOnlyWhatChanged(t *testing.T) {
	dir := t.TempDir()
	write := func(pods ...*corev1.Pod) map[string]os.FileInfo {
		t.Helper()
		if err := writeFiles(dir, renderXDS(list(service(nil)), pods, dir)); err != nil {
			t.Fatal(err)
		}
		found := map[string]os.FileInfo{}
		filepath.Walk(dir, func(path string, info os.FileInfo, _ error) error {
			if !info.IsDir() {
				found[info.Name()] = info
			}
			return nil
		})
		return found
	}
	before := write(pod("127.1.0.1", nil))
	after := write(pod("127.1.0.1", nil), pod("127.1.0.2", nil))
	if len(before) != 4 || len(after) != 4 {
		t.Fatalf("%d and %d files, want 4", len(before), len(after))
	}
	for name, info := range after {
		if changed := !os.SameFile(info, before[name]); changed != (name == "ns_web_8080.json") {
			t.Errorf("%s written again: %v", name, changed)
		}
	}
	if err := writeFiles(dir, renderXDS(nil, nil, dir)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, endpointsDir)); len(left) != 0 {
		t.Errorf("endpoints of a Service that is gone are left: %v", left)
	}
}
