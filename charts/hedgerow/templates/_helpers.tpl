{{- define "hedgerow.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-wide objects: two releases in two namespaces must not share them. */}}
{{- define "hedgerow.clusterName" -}}
{{- if eq .Release.Namespace "hedgerow-system" -}}
{{- include "hedgerow.fullname" . -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace (include "hedgerow.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* The name by which the API server knows the operator; the admission policies name it. */}}
{{- define "hedgerow.operatorUser" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "hedgerow.fullname" .) -}}
{{- end -}}

{{- define "hedgerow.leaseName" -}}
{{- printf "%s-operator" (include "hedgerow.fullname" .) -}}
{{- end -}}

{{/* The ConfigMap with the last message to devices and the state of a rotation. */}}
{{- define "hedgerow.trustState" -}}
{{- printf "%s-trust" (include "hedgerow.fullname" .) -}}
{{- end -}}

{{- define "hedgerow.selectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "hedgerow.labels" -}}
{{ include "hedgerow.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hedgerow.estSelectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: est
{{- end -}}

{{- define "hedgerow.estLabels" -}}
{{ include "hedgerow.estSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hedgerow.crlSelectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: crl
{{- end -}}

{{- define "hedgerow.crlLabels" -}}
{{ include "hedgerow.crlSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hedgerow.artifactsSelectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: artifacts
{{- end -}}

{{- define "hedgerow.artifactsLabels" -}}
{{ include "hedgerow.artifactsSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hedgerow.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* KIND/[NAMESPACE/]NAME, as the operator's flag takes it. */}}
{{- define "hedgerow.defaultIssuer" -}}
{{- with .Values.identity.defaultIssuer -}}
{{- if and (eq .kind "ClusterIssuer") .namespace -}}{{- fail "identity.defaultIssuer: a ClusterIssuer has no namespace" -}}{{- end -}}
{{- if .namespace -}}{{- printf "%s/%s/%s" .kind .namespace .name -}}{{- else -}}{{- printf "%s/%s" .kind .name -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the broker is, as a NetworkPolicyPeer; empty when it was not said. */}}
{{- define "hedgerow.brokerPeer" -}}
{{- if .Values.broker.cidr -}}
ipBlock:
  cidr: {{ .Values.broker.cidr }}
{{- else if .Values.broker.namespace -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ .Values.broker.namespace }}
podSelector:
  {{- if .Values.broker.podLabels }}
  matchLabels:
    {{- toYaml .Values.broker.podLabels | nindent 4 }}
  {{- else }} {}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* An issuer of drivers (a list: the name of the value, the text, the root context) as cert-manager's webhook names the signer. */}}
{{- define "hedgerow.rolloutSigner" -}}
{{- $text := index . 1 }}
{{- $namespace := (index . 2).Release.Namespace }}
{{- if hasPrefix "ClusterIssuer/" $text }}
{{- printf "clusterissuers.cert-manager.io/%s" (trimPrefix "ClusterIssuer/" $text) }}
{{- else if hasPrefix "Issuer/" $text }}
{{- printf "issuers.cert-manager.io/%s.%s" $namespace (trimPrefix "Issuer/" $text) }}
{{- else }}
{{- fail (printf "rollout.%s is required with rollout.enabled: ClusterIssuer/NAME, or Issuer/NAME in the namespace of the release" (index . 0)) }}
{{- end }}
{{- end }}

{{/* Who signs the client by which the broker is tried. */}}
{{- define "hedgerow.probeIssuer" -}}
{{- $default := .Values.identity.defaultIssuer }}
{{- if .Values.broker.mqtt.issuer }}
{{- .Values.broker.mqtt.issuer }}
{{- else if eq $default.kind "ClusterIssuer" }}
{{- printf "ClusterIssuer/%s" $default.name }}
{{- else }}
{{- fail "broker.mqtt.issuer is required with broker.mqtt.address: Issuer/NAMESPACE/NAME or ClusterIssuer/NAME, one of those that sign devices" }}
{{- end }}
{{- end }}

{{/* The source of the volume with the CA of the MQTT listener; empty when it is that of the REST API. */}}
{{- define "hedgerow.brokerMqttCa" -}}
{{- with .Values.broker.mqtt }}
{{- if and .address .ca.secret -}}
secret:
  secretName: {{ .ca.secret }}
  defaultMode: 0440
  items:
    - {key: {{ .ca.key | quote }}, path: ca.crt}
{{- else if and .address .ca.configMap -}}
configMap:
  name: {{ .ca.configMap }}
  items:
    - {key: {{ .ca.key | quote }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the CA of the MQTT listener lies, as the operator's flag takes it; empty: the CAs that Node.js brings along. */}}
{{- define "hedgerow.rolloutBrokerCa" -}}
{{- $ca := .Values.broker.mqtt.ca }}
{{- if not (or $ca.secret $ca.configMap) }}
{{- $ca = .Values.broker.ca }}
{{- end }}
{{- if $ca.secret -}}
{{- printf "Secret/%s/%s" $ca.secret $ca.key -}}
{{- else if $ca.configMap -}}
{{- printf "ConfigMap/%s/%s" $ca.configMap $ca.key -}}
{{- end -}}
{{- end -}}

{{- define "hedgerow.canarySelectorLabels" -}}
app.kubernetes.io/name: hedgerow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: canary
{{- end -}}

{{/* By the last one the operator finds them: it takes one label. */}}
{{- define "hedgerow.canaryLabels" -}}
{{ include "hedgerow.canarySelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
hedgerow.dev/canary: {{ include "hedgerow.fullname" . }}
{{- end -}}
