{{- define "hedgerow-edge.name" -}}
{{- printf "%s-gateway" (.Release.Name | trunc 45 | trimSuffix "-") -}}
{{- end -}}

{{- define "hedgerow-edge.selectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "hedgerow-edge.labels" -}}
{{ include "hedgerow-edge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hedgerow-edge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* A volume with a CA (a list: the name of the value, its text). */}}
{{- define "hedgerow-edge.ca" -}}
{{- $ca := index . 1 }}
{{- if $ca.secret -}}
secret:
  secretName: {{ $ca.secret }}
  defaultMode: 0440
  items:
    - {key: {{ $ca.key | quote }}, path: ca.crt}
{{- else if $ca.configMap -}}
configMap:
  name: {{ $ca.configMap }}
  items:
    - {key: {{ $ca.key | quote }}, path: ca.crt}
{{- else -}}
{{- fail (printf "%s.secret or %s.configMap is required: the CA of the broker's certificate" (index . 0) (index . 0)) -}}
{{- end -}}
{{- end -}}

{{/* The certificate and the key, and nothing else of the Secret. */}}
{{- define "hedgerow-edge.tls" -}}
secret:
  secretName: {{ required (printf "%s is required: a kubernetes.io/tls Secret in the namespace of the site" (index . 0)) (index . 1) }}
  defaultMode: 0440
  items:
    - {key: tls.crt, path: tls.crt}
    - {key: tls.key, path: tls.key}
{{- end -}}

{{/* Where the broker of the site is, as a NetworkPolicyPeer. */}}
{{- define "hedgerow-edge.brokerPeer" -}}
{{- with .Values.broker -}}
{{- if .cidr -}}
ipBlock: {cidr: {{ .cidr | quote }}}
{{- else if .namespace -}}
namespaceSelector:
  matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}
podSelector:
  {{- if .podLabels }}
  matchLabels:
    {{- toYaml .podLabels | nindent 4 }}
  {{- else }} {}
  {{- end }}
{{- else -}}
{{- fail "broker.namespace or broker.cidr is required with networkPolicy.enabled: where the broker of the site is" -}}
{{- end -}}
{{- end -}}
{{- end -}}
