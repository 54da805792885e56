{{/* Labels by which the release's objects of one component are selected: dict "root" . "component" "train" */}}
{{- define "refit.selector" -}}
app.kubernetes.io/name: refit
app.kubernetes.io/instance: {{ include "refit.release" .root | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "refit.labels" -}}
{{ include "refit.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
refit.dev/pipeline: {{ (fromYaml (include "refit.file" .root)).name | quote }}
{{- end -}}

{{/* Labels of a component's Jobs and pods. The coordinator adds refit.dev/run-id and refit.dev/attempt to a step's. */}}
{{- define "refit.jobLabels" -}}
{{ include "refit.selector" . }}
refit.dev/pipeline: {{ (fromYaml (include "refit.file" .root)).name | quote }}
{{- if ne .component "run" }}
refit.dev/step: {{ .component }}
{{- end }}
{{- end -}}
