{{- define "dlagent.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "dlagent.selector" -}}
app.kubernetes.io/name: dlagent-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dlagent.labels" -}}
{{ include "dlagent.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: dlagent
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* What the operator may do where it serves agents: each verb is one that it uses. */ -}}
{{- define "dlagent.rules" -}}
- apiGroups: [dlagent.io]
  resources: [dlagents]
  verbs: [get, list, watch]
- apiGroups: [dlagent.io]
  resources: [dlagents/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  # Never delete: it holds the artifacts.
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}
