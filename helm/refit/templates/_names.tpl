{{/*
The release's name, which names everything. A Job is <release>-<step>-<run id>-<attempt>: with 28, 8, 20 and 1 characters
and hyphens that is 60, which leaves room for the index of a shard below the limit of 63.
*/}}
{{- define "refit.release" -}}
{{- if gt (len .Release.Name) 28 -}}
{{- fail (printf "the release's name %s has %d characters; 28 is the limit, so that Job names have room" .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- if contains "." .Release.Name -}}
{{- fail (printf "the release's name %s has a dot, which names of Jobs and their pods should not have: use hyphens" .Release.Name) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* Who runs the pipeline in the bucket: REFIT_OWNER, which a coordinator outside of the cluster reads from the templates. */}}
{{- define "refit.owner" -}}
{{- printf "%s/%s/%s" .Values.cluster .Release.Namespace (include "refit.release" .) -}}
{{- end -}}

{{/* The values of a component: dict "root" . "component" "train" */}}
{{- define "refit.component" -}}
{{- $own := eq .component "run" | ternary .root.Values.coordinator (get .root.Values.steps .component) -}}
{{- $own | toYaml -}}
{{- end -}}

{{/* Where the values of a component stand. */}}
{{- define "refit.component.path" -}}
{{- eq .component "run" | ternary "coordinator" (printf "steps.%s" .component) -}}
{{- end -}}

{{- define "refit.serviceAccount" -}}
{{- $release := include "refit.release" .root -}}
{{- $own := fromYaml (include "refit.component" .) -}}
{{- $default := eq .component "run" | ternary $release (printf "%s-%s" $release .component) -}}
{{- if and (not $own.serviceAccount.create) (not $own.serviceAccount.name) -}}
{{- $where := include "refit.component.path" . -}}
{{- fail (printf "%s.serviceAccount.name is needed where create is false" $where) -}}
{{- end -}}
{{- $own.serviceAccount.name | default $default -}}
{{- end -}}

{{/* What is wrong with a component's account, or nothing. */}}
{{- define "refit.serviceAccount.fault" -}}
{{- $own := (fromYaml (include "refit.component" .)).serviceAccount -}}
{{- $where := include "refit.component.path" . -}}
{{- if and (not $own.create) $own.annotations -}}
{{ printf "%s.serviceAccount.annotations have no effect where create is false: annotate the account itself" $where }}
{{- else if $own.create -}}
{{- $name := include "refit.serviceAccount" . -}}
{{- $call := . -}}
{{- $faults := list -}}
{{- range without (list "run" "extract" "train" "evaluate" "publish") .component -}}
{{- $other := dict "root" $call.root "component" . -}}
{{- if and (fromYaml (include "refit.component" $other)).serviceAccount.create (eq $name (include "refit.serviceAccount" $other)) -}}
{{- $faults = append $faults (printf "%s.serviceAccount.name is %s, and so is that of %s: one creates it, the other sets create to false" $where $name .) -}}
{{- end -}}
{{- end -}}
{{- join "; " $faults -}}
{{- end -}}
{{- end -}}

{{/* <registry>/<prefix><name>:<tag>, or as images.<name> or images.own say */}}
{{- define "refit.image" -}}
{{- $images := .root.Values.images -}}
{{- $one := get $images .component -}}
{{- if and $images.own (has .component (list "train" "evaluate")) -}}
{{- $images.own -}}
{{- else -}}
{{- $registry := $images.registry | trimSuffix "/" -}}
{{- $built := printf "%s/%s%s" $registry $images.prefix .component | trimPrefix "/" -}}
{{- $repository := $one.repository | default $built -}}
{{- if $one.digest -}}
{{- printf "%s@%s" $repository $one.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($one.tag | default $images.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}
