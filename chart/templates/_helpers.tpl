{{/*
Name of all objects: at most 40 characters, because Argo appends the time to a schedule's and Kubernetes a hash to the
pods' of a StatefulSet. A release's name may be longer, contain dots and begin with a digit, which that of a Service may
not: then it is changed, with a hash, so that two releases never have the same name.
*/}}
{{- define "vqi.name" -}}
{{- $name := .Values.nameOverride | default .Release.Name -}}
{{- if regexMatch "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$" $name }}{{ $name }}
{{- else }}{{ printf "r-%s" $name | replace "." "-" | trunc 31 | trimAll "-" }}-{{ sha256sum $name | trunc 8 }}
{{- end -}}
{{- end -}}

{{- define "vqi.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Labels that select the pods of the runs of this release. */}}
{{- define "vqi.podLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "vqi.template" -}}{{ include "vqi.name" . }}-training{{- end -}}

{{- define "vqi.serviceAccount" -}}{{ .Values.serviceAccount.name | default (include "vqi.name" .) }}{{- end -}}

{{- define "vqi.storeSecret" -}}
{{- if and .Values.store.existingSecret .Values.seaweedfs.enabled }}{{ fail "store.existingSecret: expected nothing, because seaweedfs.enabled runs the object store; store.accessKey and store.secretKey set its keys" }}{{ end -}}
{{- .Values.store.existingSecret | default (printf "%s-store" (include "vqi.name" .)) -}}
{{- end -}}

{{/* The object store of the release's own. */}}
{{- define "vqi.seaweedfs" -}}{{ include "vqi.name" . }}-seaweedfs{{- end -}}

{{- define "vqi.seaweedfsAddress" -}}{{ include "vqi.seaweedfs" . }}.{{ .Release.Namespace }}.svc:8333{{- end -}}

{{- define "vqi.seaweedfsLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-seaweedfs
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "vqi.seaweedfsImage" -}}
{{- $image := .Values.seaweedfs.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end }}
{{- end -}}

{{/*
The lifetime of the artifacts of runs, which its master applies every few minutes: a time to live, or none. One volume at
first, because each volume reserves its part of the disk.
*/}}
{{- define "vqi.seaweedfsExpiry" -}}
{{- $days := .Values.seaweedfs.expireDays | int -}}
{{- $bucket := include "vqi.artifactBucket" . -}}
{{- if and $days (eq $bucket (include "vqi.storeUri" . | trimPrefix "s3://" | splitList "/" | first)) }}{{ fail (printf "artifactRepository.bucket: expected another bucket than that of store.uri, '%s': what is in it is removed after seaweedfs.expireDays" $bucket) }}{{ end -}}
{{- $workflow := .Values.workflow -}}
{{- if and $days (lt (mul $days 86400) (add $workflow.activeDeadlineSeconds $workflow.keepSeconds)) }}{{ fail (printf "seaweedfs.expireDays: expected at least workflow.activeDeadlineSeconds and workflow.keepSeconds together, otherwise a run that still exists loses what it needs; got %d" $days) }}{{ end -}}
fs.configure -locationPrefix=/buckets/{{ $bucket }}/ {{ gt $days 0 | ternary (printf "-ttl=%dd -volumeGrowthCount=1" $days) "-delete" }} -apply
{{- end -}}

{{- define "vqi.storeUri" -}}
{{- if .Values.store.uri }}{{ .Values.store.uri }}
{{- else if .Values.seaweedfs.enabled }}s3://vqi
{{- else }}{{ fail "store.uri: expected where datasets and models are kept, such as s3://bucket, or set store.existingSecret or seaweedfs.enabled" }}
{{- end -}}
{{- end -}}

{{- define "vqi.storeEndpoint" -}}
{{- if .Values.seaweedfs.enabled -}}
{{- if .Values.store.endpoint }}{{ fail "store.endpoint: expected nothing, because seaweedfs.enabled runs the object store" }}{{ end -}}
http://{{ include "vqi.seaweedfsAddress" . }}
{{- else -}}
{{- required "store.endpoint: expected the object store's address, such as https://s3.example.com" .Values.store.endpoint -}}
{{- end -}}
{{- end -}}

{{- define "vqi.artifactBucket" -}}
{{- .Values.artifactRepository.bucket | default (.Values.seaweedfs.enabled | ternary "vqi-artifacts" "") -}}
{{- end -}}

{{/*
The keys of the object store as JSON: those given, those that the Secret already has, or new ones; with the salt of what
is shown of them. Made once, because several templates need the same.
*/}}
{{- define "vqi.storeKeys" -}}
{{- if not (hasKey .Values "storeKeys") -}}
{{- $access := .Values.store.accessKey -}}
{{- $secret := .Values.store.secretKey -}}
{{- $salt := "" -}}
{{- if .Values.seaweedfs.enabled -}}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace (include "vqi.storeSecret" .)).data | default dict -}}
{{- $access = $access | default ($kept.AWS_ACCESS_KEY_ID | default "" | b64dec) | default (randAlphaNum 20) -}}
{{- $secret = $secret | default ($kept.AWS_SECRET_ACCESS_KEY | default "" | b64dec) | default (randAlphaNum 40) -}}
{{- $salt = $kept.SALT | default "" | b64dec | default (randAlphaNum 40) -}}
{{- end -}}
{{- $access = required "store.accessKey: expected the object store's access key" $access -}}
{{- $secret = required "store.secretKey: expected the object store's secret key" $secret -}}
{{- $_ := set .Values "storeKeys" (dict "access" $access "secret" $secret "salt" $salt) -}}
{{- end -}}
{{- toJson .Values.storeKeys -}}
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
{{- include "vqi.literal" (list (printf "parameter '%s'" (index . 0)) $text) -}}
{{- $text -}}
{{- end -}}
