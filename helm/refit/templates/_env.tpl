{{/* What every process of refit finds in a pod whose root is read-only and whose user has no home. */}}
{{- define "refit.env.common" -}}
- {name: HOME, value: /tmp}
- {name: USER, value: refit}
- {name: REFIT_LOG, value: json}
- {name: REFIT_STORE, value: {{ .root.Values.store.url | quote }}}
{{- end -}}

{{/* How the store is reached; a Secret that the component needs and nobody names is refused. */}}
{{- define "refit.env.store" -}}
{{- $store := .root.Values.store -}}
{{- if not $store.url -}}
{{- fail "store.url is empty: it names where artifacts live, like s3://bucket/prefix" -}}
{{- end -}}
{{- $prefix := regexReplaceAll "^s3://[^/]*" $store.url "" | trimAll "/" -}}
{{- range (empty $prefix | ternary list (splitList "/" $prefix)) -}}
{{- if or (has . (list "" "." "..")) (regexMatch "[\\x00-\\x1f\\x7f]" .) -}}
{{- fail (printf "store.url is %q; the parts of its prefix stand between single slashes, and none is . or .. or has control characters" $store.url) -}}
{{- end -}}
{{- end -}}
{{- with $store.endpoint }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- with $store.region }}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
{{- if eq $store.credentials.kind "secret" }}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- $secret := $own.credentials.secret | default $store.credentials.secret -}}
{{- if not $secret -}}
{{- $where := include "refit.component.path" . -}}
{{- fail (printf "no Secret with S3 credentials is named for %s: set store.credentials.secret or %s.credentials.secret, or store.credentials.kind=identity" .component $where) -}}
{{- end }}
- {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $store.credentials.accessKeyIdKey | quote }}}}}
- {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $store.credentials.secretAccessKeyKey | quote }}}}}
{{- with $store.credentials.sessionTokenKey }}
- {name: AWS_SESSION_TOKEN, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ . | quote }}}}}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Where metrics go, if anywhere: an address, or a Secret that holds it. One that is not there costs metrics, and no run.
*/}}
{{- define "refit.env.metrics" -}}
{{- $metrics := .root.Values.metrics -}}
{{- if and $metrics.pushgateway $metrics.secret -}}
{{- fail "metrics.pushgateway and metrics.secret both name a Pushgateway: leave one of them empty" -}}
{{- end -}}
{{- with $metrics.pushgateway }}
- {name: REFIT_PUSHGATEWAY, value: {{ . | quote }}}
{{- end }}
{{- with $metrics.secret }}
- {name: REFIT_PUSHGATEWAY, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $metrics.key | quote }}, optional: true}}}
{{- end }}
{{- end -}}

{{/*
The webhook that the pipeline file names by its variable; only the coordinator tells it anything. A Secret that is not
there costs messages, and no run.
*/}}
{{- define "refit.env.notify" -}}
{{- with .root.Values.notify.secret }}
{{- $variable := (fromYaml (include "refit.file" $.root)).webhook -}}
{{- if not $variable -}}
{{- fail "notify.secret is set, and the pipeline file names no variable for it: add  notify: {webhook_env: REFIT_WEBHOOK_URL}  to the file" -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" (toString $variable)) -}}
{{- fail "notify.webhook_env in the pipeline file is no name of an environment variable: refit check FILE shows line and column" -}}
{{- end -}}
{{- if or (has $variable (list "HOME" "USER")) (regexMatch "^(AWS_|REFIT_(LOG|STORE|RELEASE|NAMESPACE|JOB|POD|OWNER|START_TIMEOUT|PUSHGATEWAY)$)" $variable) -}}
{{- fail (printf "notify.webhook_env in the pipeline file is %s, which the chart sets by itself: name another one, like REFIT_WEBHOOK_URL" $variable) -}}
{{- end }}
- {name: {{ $variable }}, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $.root.Values.notify.key | quote }}, optional: true}}}
{{- end }}
{{- end -}}

{{/* The run and the attempt come from labels that the coordinator puts on the Job's pods, and from nowhere else. */}}
{{- define "refit.env.step" -}}
{{ include "refit.env.common" . }}
- {name: REFIT_PIPELINE, value: {{ (fromYaml (include "refit.file" .root)).name | quote }}}
- {name: REFIT_RUN_ID, valueFrom: {fieldRef: {fieldPath: "metadata.labels['refit.dev/run-id']"}}}
- {name: REFIT_ATTEMPT, valueFrom: {fieldRef: {fieldPath: "metadata.labels['refit.dev/attempt']"}}}
- {name: REFIT_ASKED_AT, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['refit.dev/asked-at']"}}}
- {name: REFIT_JOB, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}
- {name: REFIT_POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{ include "refit.env.threads" . }}
{{- include "refit.env.store" . }}
{{- include "refit.env.metrics" . }}
{{- if eq .component "extract" }}
{{ include "refit.env.source" . }}
{{- end }}
{{- include "refit.env.given" . }}
{{- end -}}

{{/* Two fits that each start a thread per core of the node, and spin, are many times slower than one thread each. */}}
{{- define "refit.env.threads" -}}
- {name: MPLCONFIGDIR, value: /tmp/mpl}
- {name: JOBLIB_TEMP_FOLDER, value: /tmp}
- {name: OMP_NUM_THREADS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
- {name: OPENBLAS_NUM_THREADS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
- {name: OMP_WAIT_POLICY, value: PASSIVE}
{{- end -}}

{{- define "refit.env.source" -}}
{{- $dsn := .root.Values.source.dsn -}}
{{- if not $dsn.secret -}}
{{- fail "source.dsn.secret is empty: it names an existing Secret with the PostgreSQL connection string for extract" -}}
{{- end -}}
- {name: REFIT_SOURCE_DSN, valueFrom: {secretKeyRef: {name: {{ $dsn.secret | quote }}, key: {{ $dsn.key | quote }}}}}
{{- end -}}

{{/* Of `refit check` in a step's image: what the step has, but no run. */}}
{{- define "refit.env.check" -}}
{{ include "refit.env.common" . }}
{{ include "refit.env.threads" . }}
{{- include "refit.env.store" . }}
{{- if eq .component "extract" }}
{{ include "refit.env.source" . }}
{{- end }}
{{- include "refit.env.given" . }}
{{- end -}}

{{- define "refit.env.coordinator" -}}
{{ include "refit.env.common" . }}
- {name: REFIT_RELEASE, value: {{ include "refit.release" .root | quote }}}
- {name: REFIT_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: REFIT_JOB, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}
- {name: REFIT_POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: REFIT_OWNER, value: {{ include "refit.owner" .root | quote }}}
- {name: REFIT_START_TIMEOUT, value: {{ .root.Values.coordinator.startTimeoutSeconds | int | quote }}}
{{- include "refit.env.store" . }}
{{- include "refit.env.metrics" . }}
{{- include "refit.env.notify" . }}
{{- include "refit.env.given" . }}
{{- end -}}

{{/*
What the values add; a component's own entry replaces the shared one of the same name. A name that the chart sets itself
would silently win or lose, so it is refused, and so is one that stands twice.
*/}}
{{- define "refit.env.given" -}}
{{- $own := (fromYaml (include "refit.component" .)).env -}}
{{- $where := include "refit.component.path" . -}}
{{- $names := list -}}
{{- range $own -}}
{{- if has .name $names -}}
{{- fail (printf "%s.env names %s twice" $where .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $shared := list -}}
{{- range .root.Values.pods.env -}}
{{- if not (has .name $names) -}}
{{- $shared = append $shared . -}}
{{- end -}}
{{- end -}}
{{- $taken := list "HOME" "USER" "MPLCONFIGDIR" "JOBLIB_TEMP_FOLDER" "OMP_NUM_THREADS" "OPENBLAS_NUM_THREADS" "OMP_WAIT_POLICY" "AWS_ENDPOINT_URL_S3" "AWS_DEFAULT_REGION" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" -}}
{{- if and (eq .component "run") .root.Values.notify.secret -}}
{{- $taken = append $taken (fromYaml (include "refit.file" .root)).webhook -}}
{{- end -}}
{{- range concat $shared $own }}
{{- if or (hasPrefix "REFIT_" .name) (has .name $taken) -}}
{{- fail (printf "env names %s, which the chart sets by itself" .name) -}}
{{- end }}
- {{ . | toJson }}
{{- end }}
{{- end -}}
