{{/*
What the chart reads of the pipeline file, as YAML: name, cron, zone. Whatever else the file holds is for `refit check`,
which `helm test` calls. Fails with a sentence that says what to do.
*/}}
{{- define "refit.file" -}}
{{- if not (trim .Values.pipeline) -}}
{{- fail "pipeline is empty: give the pipeline file with --set-file pipeline=refit.yaml" -}}
{{- end -}}
{{- if gt (len .Values.pipeline) 900000 -}}
{{- fail (printf "the pipeline file has %d bytes; a ConfigMap takes 900000 at most: shorten it" (len .Values.pipeline)) -}}
{{- end -}}
{{- $file := fromYaml .Values.pipeline -}}
{{- with $file.Error -}}
{{- fail (printf "the pipeline file is no YAML mapping (%v): refit check FILE shows line and column" .) -}}
{{- end -}}
{{- $name := $file.name -}}
{{- if not (and (kindIs "string" $name) $name) -}}
{{- fail "the pipeline file has no name: it needs a text like  name: flight-delays" -}}
{{- end -}}
{{- if gt (len $name) 28 -}}
{{- fail (printf "the pipeline's name %s has %d characters; 28 is the limit, so that Job names have room" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the pipeline's name %s may have lower-case letters, digits and hyphens inside, and nothing else" $name) -}}
{{- end -}}
{{- $schedule := $file.schedule | default dict -}}
{{- if not (kindIs "map" $schedule) -}}
{{- fail "schedule in the pipeline file is no mapping: it is written  schedule: {cron: \"0 5 * * 1\", timezone: Etc/UTC}" -}}
{{- end -}}
{{- $cron := $schedule.cron -}}
{{- $zone := $schedule.timezone | default "Etc/UTC" -}}
{{- if not (or $schedule .Values.suspend) -}}
{{- fail "the pipeline file has no schedule: add  schedule: {cron: \"0 5 * * 1\"}  to it, or set suspend=true for runs by hand" -}}
{{- end -}}
{{- if $schedule -}}
{{- if not (and (kindIs "string" $cron) $cron) -}}
{{- fail "schedule in the pipeline file has no cron: it is written  schedule: {cron: \"0 5 * * 1\", timezone: Etc/UTC}" -}}
{{- end -}}
{{- if ne (len (splitList " " (regexReplaceAll "\\s+" (trim $cron) " "))) 5 -}}
{{- fail (printf "schedule.cron in the pipeline file is %q; it needs 5 fields: minute, hour, day, month, day of the week" $cron) -}}
{{- end -}}
{{- end -}}
{{- dict "name" $name "cron" ($cron | default "0 0 31 2 *") "zone" $zone | toYaml -}}
{{- end -}}
