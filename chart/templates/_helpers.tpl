{{/* Name of all objects: Argo appends the time to a schedule's, which leaves 52 characters. */}}
{{- define "vqi.name" -}}
{{- .Values.nameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "vqi.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* What finds the pods of the runs of this release. */}}
{{- define "vqi.podLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vqi.template" -}}{{ include "vqi.name" . }}-training{{- end -}}

{{- define "vqi.serviceAccount" -}}{{ .Values.serviceAccount.name | default (include "vqi.name" .) }}{{- end -}}

{{- define "vqi.storeSecret" -}}
{{- .Values.store.existingSecret | default (printf "%s-store" (include "vqi.name" .)) -}}
{{- end -}}

{{/* An image of the pipeline, as this chart's values say; a list of the root context and the name in the pipeline. */}}
{{- define "vqi.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 | splitList ":" | first -}}
{{- $digest := get $root.Values.image.digests $name -}}
{{- $registry := $root.Values.image.registry | trimSuffix "/" -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $name -}}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* A parameter as Argo's text; a list of its name and value. */}}
{{- define "vqi.text" -}}
{{- $value := index . 1 -}}
{{- $text := kindIs "string" $value | ternary $value (toJson $value) -}}
{{- if contains "{{" $text }}{{ fail (printf "parameter '%s' holds '{{', which Argo would fill in: %s" (index . 0) $text) }}{{ end -}}
{{- $text -}}
{{- end -}}
