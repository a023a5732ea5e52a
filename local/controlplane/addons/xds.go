package addons

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Files in Envoy's folder. Envoy reads a file again when one is renamed over it.
const (
	bootstrapFile = "envoy.json"
	listenersFile = "lds.json"
	clustersFile  = "cds.json"
	endpointsDir  = "eds"
)

// firstPort is the first that needs no privilege; Services on lower ones get no listener.
const firstPort = 1024

type object = map[string]any

// renderXDS returns the content of each file, by its path in dir, that makes Envoy do what
// kube-proxy does: a cluster IP's port leads to the Ready pods behind it. It decides
// everything and reads nothing but its arguments.
func renderXDS(services []*corev1.Service, pods []*corev1.Pod, dir string) map[string][]byte {
	var listeners, clusters []object
	files := map[string][]byte{}
	services = slices.SortedFunc(slices.Values(services), func(a, b *corev1.Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, service := range services {
		for _, port := range proxiedPorts(service) {
			name := fmt.Sprintf("%s_%s_%d", service.Namespace, service.Name, port.Port)
			path := filepath.Join(endpointsDir, name+".json")
			listeners = append(listeners, listener(name, service.Spec.ClusterIP, port.Port))
			clusters = append(clusters, cluster(name, filepath.Join(dir, path)))
			files[path] = resources("endpoint.v3.ClusterLoadAssignment", []object{assignment(name, endpoints(service, port, pods))})
		}
	}
	files[listenersFile] = resources("listener.v3.Listener", listeners)
	files[clustersFile] = resources("cluster.v3.Cluster", clusters)
	files[bootstrapFile] = bootstrap(dir)
	return files
}

// proxiedPorts are those of a Service that has an address and pods of its own.
func proxiedPorts(service *corev1.Service) []corev1.ServicePort {
	ip := service.Spec.ClusterIP
	if ip == "" || ip == corev1.ClusterIPNone || len(service.Spec.Selector) == 0 || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var out []corev1.ServicePort
	for _, port := range service.Spec.Ports {
		if port.Port >= firstPort && cmp.Or(port.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
			out = append(out, port)
		}
	}
	return out
}

type endpoint struct {
	address string
	port    int32
}

// endpoints are the pods that new connections to a Service's port may go to.
func endpoints(service *corev1.Service, port corev1.ServicePort, pods []*corev1.Pod) []endpoint {
	selector := labels.SelectorFromSet(service.Spec.Selector)
	var out []endpoint
	for _, pod := range pods {
		if pod.Namespace != service.Namespace || !selector.Matches(labels.Set(pod.Labels)) || !serving(pod, service.Spec.PublishNotReadyAddresses) {
			continue
		}
		if number := targetPort(pod, port); number != 0 {
			out = append(out, endpoint{pod.Status.PodIP, number})
		}
	}
	slices.SortFunc(out, func(a, b endpoint) int {
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.port, b.port))
	})
	return out
}

func serving(pod *corev1.Pod, unready bool) bool {
	if pod.Status.PodIP == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if unready {
		return true
	}
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// targetPort finds the pod's port by number or by name; 0 if it has none of that name.
func targetPort(pod *corev1.Pod, port corev1.ServicePort) int32 {
	if port.TargetPort.StrVal == "" {
		return cmp.Or(port.TargetPort.IntVal, port.Port)
	}
	for _, container := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		for _, p := range container.Ports {
			if p.Name == port.TargetPort.StrVal && cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
				return p.ContainerPort
			}
		}
	}
	return 0
}

func listener(name, ip string, port int32) object {
	return object{
		"name":    name,
		"address": socketAddress(ip, port),
		// Another process on this port must be an error, not a second listener.
		"enable_reuse_port": false,
		"filter_chains": []object{{"filters": []object{{
			"name": "envoy.filters.network.tcp_proxy",
			"typed_config": object{
				"@type":       typeURL("extensions.filters.network.tcp_proxy.v3.TcpProxy"),
				"stat_prefix": name, "cluster": name,
				"idle_timeout": "0s", // kube-proxy closes nothing either
			},
		}}}},
	}
}

// cluster has no health checks and no retries: kube-proxy has none, and they would hide a
// pod that is Ready too early or leaves too late.
func cluster(name, path string) object {
	return object{
		"name": name, "type": "EDS", "connect_timeout": "5s", "lb_policy": "ROUND_ROBIN",
		"eds_cluster_config": object{"eds_config": fileSource(path)},
		"circuit_breakers": object{"thresholds": []object{{
			"max_connections": 1 << 20, "max_pending_requests": 1 << 20, "max_requests": 1 << 20,
		}}},
	}
}

func assignment(name string, endpoints []endpoint) object {
	out := []object{}
	for _, e := range endpoints {
		out = append(out, object{"endpoint": object{"address": socketAddress(e.address, e.port)}})
	}
	return object{"cluster_name": name, "endpoints": []object{{"lb_endpoints": out}}}
}

// bootstrap is all that Envoy is started with. It has no administration port.
func bootstrap(dir string) []byte {
	return encode(object{
		"node": object{"id": "localkube", "cluster": "localkube"},
		"dynamic_resources": object{
			"lds_config": fileSource(filepath.Join(dir, listenersFile)),
			"cds_config": fileSource(filepath.Join(dir, clustersFile)),
		},
	})
}

func fileSource(path string) object {
	return object{"resource_api_version": "V3", "path_config_source": object{"path": path}}
}

func socketAddress(ip string, port int32) object {
	return object{"socket_address": object{"address": ip, "port_value": port}}
}

func typeURL(name string) string { return "type.googleapis.com/envoy." + name }

func resources(kind string, list []object) []byte {
	for _, resource := range list {
		resource["@type"] = typeURL("config." + kind)
	}
	if list == nil {
		list = []object{}
	}
	return encode(object{"resources": list})
}

func encode(value object) []byte {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		panic(err) // only strings, numbers, lists and maps are put in
	}
	return append(data, '\n')
}
