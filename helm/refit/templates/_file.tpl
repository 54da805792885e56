{{/*
What the chart reads of the pipeline file, as YAML: name, cron, zone, webhook (the variable that holds its address). Whatever else the file holds is for `refit check`,
which `helm test` calls. Fails with a sentence that says what to do; `helm lint` only notes it, and goes on with a file
that could be.
*/}}
{{- define "refit.file" -}}
{{- $fault := include "refit.file.fault" . -}}
{{- if $fault -}}
{{- fail $fault -}}
{{- dict "name" "pipeline" "cron" "0 0 31 2 *" "zone" "Etc/UTC" "webhook" "" | toYaml -}}
{{- else -}}
{{- $file := fromYaml .Values.pipeline -}}
{{- $schedule := $file.schedule | default dict -}}
{{- $webhook := (kindIs "map" $file.notify | ternary $file.notify dict).webhook_env | default "" -}}
{{- dict "name" $file.name "webhook" $webhook "cron" ($schedule.cron | default "0 0 31 2 *") "zone" ($schedule.timezone | default "Etc/UTC") | toYaml -}}
{{- end -}}
{{- end -}}

{{/* The first reason why the file cannot be used, or nothing. Bytes that are no text come out of toJson as \ufffd. */}}
{{- define "refit.file.fault" -}}
{{- $text := .Values.pipeline -}}
{{- $file := fromYaml $text -}}
{{- $name := $file.name -}}
{{- if not (trim $text) -}}
pipeline is empty: give the pipeline file with --set-file pipeline=refit.yaml
{{- else if gt (len $text) 900000 -}}
{{ printf "the pipeline file has %d bytes; a ConfigMap takes 900000 at most: shorten it" (len $text) }}
{{- else if contains "\\ufffd" (toJson $text) -}}
the pipeline file is not valid UTF-8: refit check FILE shows line and column
{{- else if $file.Error -}}
{{ printf "the pipeline file is no YAML mapping (%v): refit check FILE shows line and column" $file.Error }}
{{- else if not (and (kindIs "string" $name) $name) -}}
the pipeline file has no name: it needs a text like  name: flight-delays
{{- else if gt (len $name) 28 -}}
{{ printf "the pipeline's name %s has %d characters; 28 is the limit, so that Job names have room" $name (len $name) }}
{{- else if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{ printf "the pipeline's name %s may have lower-case letters, digits and hyphens inside, and nothing else" $name }}
{{- else if not (kindIs "invalid" $file.schedule) -}}
{{ include "refit.schedule.fault" $file.schedule }}
{{- else if not .Values.suspend -}}
the pipeline file has no schedule: add  schedule: {cron: "0 5 * * 1"}  to it, or set suspend=true for runs by hand
{{- end -}}
{{- end -}}

{{- define "refit.schedule.fault" -}}
{{- if not (kindIs "map" .) -}}
schedule in the pipeline file is no mapping: it is written  schedule: {cron: "0 5 * * 1", timezone: Etc/UTC}
{{- else if not (and (kindIs "string" .cron) .cron) -}}
schedule in the pipeline file has no cron: it is written  schedule: {cron: "0 5 * * 1", timezone: Etc/UTC}
{{- else if include "refit.cron.fault" .cron -}}
{{ printf "schedule.cron in the pipeline file is %q; %s" .cron (include "refit.cron.fault" .cron) }}
{{- else if hasKey . "timezone" -}}
{{- $zone := toString .timezone -}}
{{- if or (eq $zone "Local") (not (regexMatch "^[A-Z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*$" $zone)) -}}
{{ printf "schedule.timezone in the pipeline file is %q; it needs the name of an IANA zone, like Europe/Berlin" $zone }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What refit.core.cron says too, but for ranges that run backwards: those the API server refuses. */}}
{{- define "refit.cron.fault" -}}
{{- $fields := splitList " " (regexReplaceAll "\\s+" (trim .) " ") -}}
{{- if ne (len $fields) 5 -}}
it needs 5 fields: minute, hour, day, month, day of the week
{{- else -}}
{{- $faults := list -}}
{{- range $index, $field := list
  (list "minute" "0*[0-5]?[0-9]" "0 to 59")
  (list "hour" "0*([01]?[0-9]|2[0-3])" "0 to 23")
  (list "day of the month" "0*([1-9]|[12][0-9]|3[01])" "1 to 31")
  (list "month" "0*([1-9]|1[0-2])|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec" "1 to 12 or JAN to DEC")
  (list "day of the week" "0*[0-6]|sun|mon|tue|wed|thu|fri|sat" "0 (Sunday) to 6 or SUN to SAT") -}}
{{- $item := printf "([*?]|(%[1]s)(-(%[1]s))?)(/0*[1-9][0-9]*)?" (index $field 1) -}}
{{- if not (regexMatch (printf "^(?i)%[1]s(,%[1]s)*$" $item) (index $fields $index)) -}}
{{- $faults = append $faults (printf "%s goes from %s, with , - / and *" (index $field 0) (index $field 2)) -}}
{{- end -}}
{{- end -}}
{{- join "; " $faults -}}
{{- end -}}
{{- end -}}
