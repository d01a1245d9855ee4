{{/* The spec of a run: the compiled pipeline's, changed by these values; as YAML. */}}
{{- define "vqi.workflowSpec" -}}
{{- $spec := (.Files.Get "files/training.yaml" | fromYaml).spec }}
{{- $account := include "vqi.serviceAccount" . }}
{{- $podLabels := include "vqi.podLabels" . | fromYaml }}

{{- range $spec.arguments.parameters }}
{{- $_ := set . "value" (include "vqi.text" (list .name (get $.Values.parameters .name))) }}
{{- end }}
{{- $_ := set $spec "parallelism" .Values.workflow.parallelism }}
{{- $_ := set $spec "activeDeadlineSeconds" .Values.workflow.activeDeadlineSeconds }}
{{- $_ := set $spec "ttlStrategy" (dict "secondsAfterCompletion" .Values.workflow.keepSeconds) }}
{{- $_ := set $spec "serviceAccountName" $account }}
{{- $_ := set $spec "executor" (dict "serviceAccountName" $account) }}
{{- $_ := set $spec "podMetadata" (dict "labels" $podLabels) }}
{{- $_ := set $spec "workflowMetadata" (dict "labels" $podLabels) }}
{{- if .Values.artifactRepository.enabled }}
{{- $_ := set $spec "artifactRepositoryRef" (dict "configMap" (printf "%s-artifacts" (include "vqi.name" .)) "key" "store") }}
{{- end }}
{{- with .Values.image.pullSecrets }}
{{- $secrets := list }}
{{- range . }}{{ $secrets = append $secrets (dict "name" .) }}{{ end }}
{{- $_ := set $spec "imagePullSecrets" $secrets }}
{{- end }}
{{- with .Values.nodePool.affinity }}
{{- $_ := set $spec "affinity" . }}
{{- end }}
{{- with .Values.nodePool.topologySpreadConstraints }}
{{- $patch := $spec.podSpecPatch | fromYaml }}
{{- $_ := set $patch "topologySpreadConstraints" . }}
{{- $_ := set $spec "podSpecPatch" (toYaml $patch) }}
{{- end }}

{{- range $spec.volumes }}
{{- $_ := set .emptyDir "sizeLimit" $.Values.workflow.scratch }}
{{- end }}

{{- $volume := include "vqi.datasetVolume" . | fromJson }}
{{- $noProxy := .Values.proxy.noProxy }}
{{- if and .Values.seaweedfs.enabled (or .Values.proxy.http .Values.proxy.https) }}
{{- $noProxy = list $noProxy (include "vqi.seaweedfsAddress" . | splitList ":" | first) | compact | join "," }}
{{- end }}
{{- $preset := dict }}
{{- if eq .Values.nodePool.preset "xeon-amx" }}
{{- $preset = dict "feature.node.kubernetes.io/cpu-cpuid.AMXBF16" "true" }}
{{- end }}
{{- range $template := $spec.templates }}
{{- with $template.container }}
{{- $step := get $.Values.steps $template.name }}
{{- $_ := set . "image" (include "vqi.image" (list $ .image)) }}
{{- $_ := set . "imagePullPolicy" $.Values.image.pullPolicy }}
{{- with $step.resources }}{{ $_ := set $template.container "resources" . }}{{ end }}
{{- range .env }}
{{- if and .valueFrom .valueFrom.secretKeyRef }}
{{- $_ := set .valueFrom.secretKeyRef "name" (include "vqi.storeSecret" $) }}
{{- end }}
{{- end }}
{{- range $name, $value := dict "HTTP_PROXY" $.Values.proxy.http "HTTPS_PROXY" $.Values.proxy.https "NO_PROXY" $noProxy }}
{{- if $value }}
{{- $_ := set $template.container "env" (append $template.container.env (dict "name" $name "value" $value)) }}
{{- end }}
{{- end }}
{{- with merge (dict) ($step.nodeSelector | default dict) $.Values.nodePool.nodeSelector $preset }}
{{- $_ := set $template "nodeSelector" . }}
{{- end }}
{{- with concat $.Values.nodePool.tolerations ($step.tolerations | default list) }}
{{- $_ := set $template "tolerations" . }}
{{- end }}
{{- if and $volume (eq $template.name "dataset-download") }}
{{- $mount := dict "name" "dataset" "mountPath" $.Values.dataset.mountPath "readOnly" true }}
{{- $_ := set $template "volumes" (list $volume) }}
{{- $_ := set . "volumeMounts" (append .volumeMounts $mount) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $spec -}}
{{- end -}}
