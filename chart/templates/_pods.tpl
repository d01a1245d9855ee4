{{/* What the values put into the pods of the runs. Lists are JSON objects with the key "list". */}}

{{/* The volume with the photographs; empty when there is none. */}}
{{- define "vqi.datasetVolume" -}}
{{- $dataset := .Values.dataset -}}
{{- if and $dataset.claim $dataset.nfs.server }}{{ fail "dataset.claim and dataset.nfs.server: expected one of them" }}{{ end -}}
{{- if $dataset.claim -}}
{{- dict "name" "dataset" "persistentVolumeClaim" (dict "claimName" $dataset.claim "readOnly" true) | toJson -}}
{{- else if $dataset.nfs.server -}}
{{- $path := required "dataset.nfs.path: expected the path that the NFS server exports, such as /photographs" $dataset.nfs.path -}}
{{- dict "name" "dataset" "nfs" (dict "server" $dataset.nfs.server "path" $path "readOnly" true) | toJson -}}
{{- else -}}{}
{{- end -}}
{{- end -}}

{{/* The volume with the certificates of authorities; empty when there are none. */}}
{{- define "vqi.caVolume" -}}
{{- $ca := .Values.ca -}}
{{- $items := list (dict "key" $ca.key "path" "ca.crt") -}}
{{- if and $ca.configMap $ca.secret }}{{ fail "ca.configMap and ca.secret: expected one of them" }}{{ end -}}
{{- if $ca.configMap -}}
{{- dict "name" "ca" "configMap" (dict "name" $ca.configMap "items" $items) | toJson -}}
{{- else if $ca.secret -}}
{{- dict "name" "ca" "secret" (dict "secretName" $ca.secret "items" $items) | toJson -}}
{{- else -}}{}
{{- end -}}
{{- end -}}

{{- define "vqi.caMounts" -}}
{{- $mounts := list -}}
{{- if include "vqi.caVolume" . | fromJson }}{{ $mounts = list (dict "name" "ca" "mountPath" "/etc/vqi-ca" "readOnly" true) }}{{ end -}}
{{- dict "list" $mounts | toJson -}}
{{- end -}}

{{/*
How a container reaches servers: through which proxy, trusting whom. A list of the root context and more hosts that are
reached without the proxy.
*/}}
{{- define "vqi.networkEnv" -}}
{{- $root := index . 0 -}}
{{- $proxy := $root.Values.proxy -}}
{{- $env := list -}}
{{- if and $proxy.existingSecret (or $proxy.http $proxy.https) }}{{ fail "proxy.http and proxy.https: expected nothing, because the addresses are in proxy.existingSecret" }}{{ end -}}
{{- range $name, $value := dict "HTTP_PROXY" $proxy.http "HTTPS_PROXY" $proxy.https -}}
{{- include "vqi.noLogin" (list (printf "proxy.%s" ($name | lower | trimSuffix "_proxy")) $value) -}}
{{- if $value -}}
{{- $env = append $env (dict "name" $name "value" $value) -}}
{{- else if $proxy.existingSecret -}}
{{- $env = append $env (dict "name" $name "valueFrom" (dict "secretKeyRef" (dict "name" $proxy.existingSecret "key" $name "optional" true))) -}}
{{- end -}}
{{- end -}}
{{- $direct := list $proxy.noProxy -}}
{{- if $env -}}
{{- $direct = concat $direct (index . 1) -}}
{{- if $root.Values.seaweedfs.enabled }}{{ $direct = append $direct (include "vqi.seaweedfsAddress" $root | splitList ":" | first) }}{{ end -}}
{{- end -}}
{{- with compact $direct }}{{ $env = append $env (dict "name" "NO_PROXY" "value" (join "," .)) }}{{ end -}}
{{- if include "vqi.caVolume" $root | fromJson -}}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" }}{{ $env = append $env (dict "name" . "value" "/etc/vqi-ca/ca.crt") }}{{ end -}}
{{- end -}}
{{- dict "list" $env | toJson -}}
{{- end -}}

{{/* The variables of a step: a list of the root context and those of the compiled pipeline; later ones replace earlier ones. */}}
{{- define "vqi.stepEnv" -}}
{{- $root := index . 0 -}}
{{- $env := list -}}
{{- range index . 1 -}}
{{- if and .valueFrom .valueFrom.secretKeyRef }}{{ $_ := set .valueFrom.secretKeyRef "name" (include "vqi.storeSecret" $root) }}{{ end -}}
{{- $env = append $env . -}}
{{- end -}}
{{- range $more := list (include "vqi.networkEnv" (list $root list) | fromJson).list $root.Values.extraEnv -}}
{{- $names := list -}}
{{- range $more }}{{ $names = append $names .name }}{{ end -}}
{{- $kept := list -}}
{{- range $env }}{{ if not (has .name $names) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{- $env = concat $kept $more -}}
{{- end -}}
{{- dict "list" $env | toJson -}}
{{- end -}}

{{/* What is changed in the pods that Argo makes: the compiled pipeline's patch with more for Argo's own containers. */}}
{{- define "vqi.podSpecPatch" -}}
{{- $root := index . 0 -}}
{{- $patch := index . 1 | fromYaml -}}
{{- $env := (include "vqi.networkEnv" (list $root (list "$(KUBERNETES_SERVICE_HOST)")) | fromJson).list -}}
{{- $mounts := (include "vqi.caMounts" $root | fromJson).list -}}
{{- $spread := $root.Values.nodePool.topologySpreadConstraints -}}
{{- if or $env $mounts $spread -}}
{{- range concat $patch.initContainers $patch.containers -}}
{{- if $env }}{{ $_ := set . "env" $env }}{{ end -}}
{{- if $mounts }}{{ $_ := set . "volumeMounts" $mounts }}{{ end -}}
{{- end -}}
{{- with $spread }}{{ $_ := set $patch "topologySpreadConstraints" . }}{{ end -}}
{{- toYaml $patch -}}
{{- else }}{{ index . 1 }}
{{- end -}}
{{- end -}}

{{/* Resources as JSON, their amounts as texts: a fraction is no quantity for Argo's CRD. */}}
{{- define "vqi.resources" -}}
{{- $found := dict -}}
{{- range $end, $amounts := . -}}
{{- $texts := dict -}}
{{- range $name, $amount := $amounts }}{{ $_ := set $texts $name (toString $amount) }}{{ end -}}
{{- $_ := set $found $end $texts -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The values that are written into pods as they are: without references of Argo, and each name once. */}}
{{- define "vqi.checkPods" -}}
{{- $values := .Values -}}
{{- range $place := list "extraEnv" "extraVolumes" "extraVolumeMounts" "podAnnotations" "nodePool" "dataset" "proxy" -}}
{{- include "vqi.literal" (list $place (get $values $place)) -}}
{{- end -}}
{{- $names := dict -}}
{{- range $place := list "extraEnv" "extraVolumes" -}}
{{- $of := list -}}
{{- range get $values $place }}{{ $of = append $of .name }}{{ end -}}
{{- $_ := set $names $place $of -}}
{{- end -}}
{{- include "vqi.newNames" (list "extraEnv" $names.extraEnv list) -}}
{{- $own := list "ca" "dataset" "exec-sa-token" "input-artifacts" "outputs" "tmp" "tmp-dir-argo" "var-run-argo" -}}
{{- include "vqi.newNames" (list "extraVolumes" $names.extraVolumes $own) -}}
{{- range $values.extraVolumeMounts -}}
{{- if not (has .name $names.extraVolumes) }}{{ fail (printf "extraVolumeMounts: expected the name of one of extraVolumes, got '%s'" .name) }}{{ end -}}
{{- end -}}
{{- end -}}
