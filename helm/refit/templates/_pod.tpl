{{/* A component's own value, or the one that all pods share: dict "root" . "component" "train" "key" "nodeSelector" */}}
{{- define "refit.own" -}}
{{- $own := get (fromYaml (include "refit.component" .)) .key -}}
{{- $own | default (get .root.Values.pods .key) | toJson -}}
{{- end -}}

{{- define "refit.annotations" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- merge (deepCopy $own.annotations) .root.Values.pods.annotations | toYaml -}}
{{- end -}}

{{/* Of a pod that only checks: it is no step's, and carries what the values give to pods, for webhooks ask for that. */}}
{{- define "refit.checkMetadata" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- $hook := dict "helm.sh/hook" "test" "helm.sh/hook-weight" .weight "helm.sh/hook-delete-policy" "before-hook-creation" -}}
labels:
  {{- include "refit.labels" . | nindent 2 }}
  {{- with merge (deepCopy $own.labels) .root.Values.pods.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  {{- merge $hook (fromYaml (include "refit.annotations" .)) | toYaml | nindent 2 }}
{{- end -}}

{{- define "refit.podLabels" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{ include "refit.jobLabels" . }}
{{- with merge (deepCopy $own.labels) .root.Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where and as whom a component's pod runs, all but its containers and volumes. Fits Pod Security "restricted". */}}
{{- define "refit.pod" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
restartPolicy: Never
serviceAccountName: {{ include "refit.serviceAccount" . | quote }}
automountServiceAccountToken: {{ eq .component "run" }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds | int }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- $value := include "refit.own" (merge (dict "key" $key) $) }}
{{- if not (has $value (list "{}" "[]" "\"\"" "null")) }}
{{ $key }}: {{ $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "refit.container" -}}
image: {{ include "refit.image" . | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ (fromYaml (include "refit.component" .)).resources | toJson }}
{{- end -}}

{{- define "refit.mounts" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
- {name: tmp, mountPath: /tmp}
{{- if .file }}
- {name: file, mountPath: /etc/refit, readOnly: true}
{{- end }}
{{- range concat .root.Values.pods.extraVolumeMounts $own.extraVolumeMounts }}
- {{ . | toJson }}
{{- end }}
{{- end -}}

{{- define "refit.volumes" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
- {name: tmp, emptyDir: {sizeLimit: {{ $own.tmpSize | quote }}}}
{{- if .file }}
- {name: file, configMap: {name: {{ include "refit.release" .root }}-file}}
{{- end }}
{{- range concat .root.Values.pods.extraVolumes $own.extraVolumes }}
- {{ . | toJson }}
{{- end }}
{{- end -}}
