{{- define "refit.account" -}}
{{- with include "refit.serviceAccount.fault" . -}}
{{- fail . -}}
{{- end -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- if $own.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "refit.serviceAccount" . | quote }}
  labels: {{- include "refit.labels" . | nindent 4 }}
  {{- with $own.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{/* dict "ports" … "to" … as one egress rule */}}
{{- define "refit.egress" -}}
- ports:
  {{- range .ports }}
    - {protocol: TCP, port: {{ . | int }}}
  {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "refit.network" -}}
{{- $network := .root.Values.networkPolicy -}}
{{- if $network.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "refit.release" .root }}-{{ .component }}
  labels: {{- include "refit.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "refit.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    - ports:
        - {protocol: UDP, port: 53}
        - {protocol: TCP, port: 53}
    {{- include "refit.egress" $network.store | nindent 4 }}
    {{- if eq .component "extract" }}
    {{- include "refit.egress" $network.database | nindent 4 }}
    {{- end }}
    {{- if eq .component "run" }}
    {{- include "refit.egress" $network.api | nindent 4 }}
    {{- end }}
    {{- if or .root.Values.metrics.pushgateway .root.Values.metrics.secret }}
    {{- include "refit.egress" $network.pushgateway | nindent 4 }}
    {{- end }}
    {{- if and (eq .component "run") .root.Values.notify.secret }}
    {{- include "refit.egress" $network.webhook | nindent 4 }}
    {{- end }}
    {{- range $network.extraEgress }}
    - {{ . | toJson }}
    {{- end }}
{{- end -}}
{{- end -}}
