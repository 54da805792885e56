{{/*
The template of a step's Job, which the coordinator stamps as `kubectl create job --from` does. Suspended, with a day that
never comes and a deadline for starting late, it starts nothing by itself, even if somebody lifts the suspension.
The Job's own deadline is only a backstop, for it would delete the pod and its log: the pod's deadline comes first.
*/}}
{{- define "refit.step" -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- $start := .root.Values.coordinator.startTimeoutSeconds | int -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "refit.release" .root }}-{{ .component }}
  labels: {{- include "refit.labels" . | nindent 4 }}
  annotations:
    refit.dev/owner: {{ include "refit.owner" .root | quote }}
spec:
  schedule: "0 0 31 2 *"
  suspend: true
  startingDeadlineSeconds: 60
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: {{ .root.Values.history.successful | int }}
  failedJobsHistoryLimit: {{ .root.Values.history.failed | int }}
  jobTemplate:
    metadata:
      labels: {{- include "refit.jobLabels" . | nindent 8 }}
    spec:
      backoffLimit: 0
      podReplacementPolicy: Failed
      activeDeadlineSeconds: {{ add $own.deadlineSeconds $own.terminationGracePeriodSeconds (max 570 (sub (mul 10 $start) 30)) }}
      podFailurePolicy:
        rules:
          - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
          - {action: FailJob, onExitCodes: {containerName: step, operator: In, values: [64, 65, 66, 70, 77, 79]}}
      template:
        metadata:
          labels: {{- include "refit.podLabels" . | nindent 12 }}
          {{- with fromYaml (include "refit.annotations" .) }}
          annotations: {{- toYaml . | nindent 12 }}
          {{- end }}
        spec:
          {{- include "refit.pod" . | nindent 10 }}
          activeDeadlineSeconds: {{ $own.deadlineSeconds | int }}
          containers:
            - name: step
              command: [python, -m, refit.{{ .component }}]
              {{- include "refit.container" . | nindent 14 }}
              env: {{- include "refit.env.step" . | nindent 16 }}
              volumeMounts: {{- include "refit.mounts" . | nindent 16 }}
          volumes: {{- include "refit.volumes" . | nindent 12 }}
{{- end -}}

{{/*
Whoever walks the steps: dict "root" . "component" "run" "name" … "command" (list …) "schedule" … "zone" … "suspend" …
Its exit code is final, for it has repeated what can be repeated; only a kill brings a second pod, which takes the run up.
*/}}
{{- define "refit.coordinator" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .name | quote }}
  labels: {{- include "refit.labels" . | nindent 4 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: {{ .zone | quote }}
  suspend: {{ .suspend }}
  startingDeadlineSeconds: {{ .deadline | int }}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: {{ .root.Values.history.successful | int }}
  failedJobsHistoryLimit: {{ .root.Values.history.failed | int }}
  jobTemplate:
    metadata:
      labels: {{- include "refit.jobLabels" . | nindent 8 }}
      annotations:
        refit.dev/file-sha256: {{ sha256sum .root.Values.pipeline | quote }}
    spec:
      backoffLimit: 3
      podReplacementPolicy: Failed
      podFailurePolicy:
        rules:
          - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
          - {action: FailJob, onExitCodes: {containerName: run, operator: NotIn, values: [0, 137, 143]}}
      template:
        metadata:
          labels: {{- include "refit.podLabels" . | nindent 12 }}
          {{- with fromYaml (include "refit.annotations" .) }}
          annotations: {{- toYaml . | nindent 12 }}
          {{- end }}
        spec:
          {{- include "refit.pod" . | nindent 10 }}
          containers:
            - name: run
              command: {{ .command | toJson }}
              {{- include "refit.container" . | nindent 14 }}
              env: {{- include "refit.env.coordinator" . | nindent 16 }}
              volumeMounts: {{- include "refit.mounts" . | nindent 16 }}
          volumes: {{- include "refit.volumes" . | nindent 12 }}
{{- end -}}
