{{/* The spec of a run: the compiled pipeline's, changed by these values; as YAML. */}}
{{- define "vqi.workflowSpec" -}}
{{- include "vqi.checkPods" . }}
{{- $spec := (.Files.Get "files/training.yaml" | fromYaml).spec }}
{{- $account := include "vqi.serviceAccount" . }}
{{- $podLabels := include "vqi.podLabels" . | fromYaml }}

{{- range $spec.arguments.parameters }}
{{- $_ := set . "value" (include "vqi.text" (list .name (get $.Values.parameters .name))) }}
{{- end }}
{{- range $name := list "parallelism" "activeDeadlineSeconds" }}
{{- $_ := set $spec $name (get $.Values.workflow $name | int64) }}
{{- end }}
{{- $_ := set $spec "ttlStrategy" (dict "secondsAfterCompletion" (.Values.workflow.keepSeconds | int64)) }}
{{- $_ := set $spec "serviceAccountName" $account }}
{{- $_ := set $spec "executor" (dict "serviceAccountName" $account) }}
{{- $podMetadata := dict "labels" $podLabels }}
{{- with .Values.podAnnotations }}{{ $_ := set $podMetadata "annotations" . }}{{ end }}
{{- $_ := set $spec "podMetadata" $podMetadata }}
{{- $_ := set $spec "workflowMetadata" (dict "labels" $podLabels) }}
{{- $_ := set $spec "podSpecPatch" (include "vqi.podSpecPatch" (list . $spec.podSpecPatch)) }}
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

{{- range $spec.volumes }}
{{- $_ := set .emptyDir "sizeLimit" (toString $.Values.workflow.scratch) }}
{{- end }}
{{- with include "vqi.caVolume" . | fromJson }}{{ $_ := set $spec "volumes" (append $spec.volumes .) }}{{ end }}
{{- with .Values.extraVolumes }}{{ $_ := set $spec "volumes" (concat $spec.volumes .) }}{{ end }}

{{- $volume := include "vqi.datasetVolume" . | fromJson }}
{{- $caMounts := (include "vqi.caMounts" . | fromJson).list }}
{{- $inputs := list }}
{{- range $spec.templates }}
{{- range (.inputs | default dict).artifacts }}{{ $inputs = append $inputs (dict "mountPath" .path) }}{{ end }}
{{- end }}
{{- $preset := dict }}
{{- if eq .Values.nodePool.preset "xeon-amx" }}
{{- $preset = dict "feature.node.kubernetes.io/cpu-cpuid.AMXBF16" "true" }}
{{- end }}
{{- range $template := $spec.templates }}
{{- with $template.container }}
{{- $step := get $.Values.steps $template.name }}
{{- include "vqi.withinLimits" (list (printf "steps.%s.resources" $template.name) $step.resources) }}
{{- $_ := set . "image" (include "vqi.image" (list $ .image)) }}
{{- $_ := set . "imagePullPolicy" $.Values.image.pullPolicy }}
{{- $_ := set . "resources" (include "vqi.resources" $step.resources | fromJson) }}
{{- $_ := set . "env" (include "vqi.stepEnv" (list $ .env) | fromJson).list }}
{{- with merge (dict) ($step.nodeSelector | default dict) $.Values.nodePool.nodeSelector $preset }}
{{- $_ := set $template "nodeSelector" . }}
{{- end }}
{{- with concat $.Values.nodePool.tolerations ($step.tolerations | default list) }}
{{- $_ := set $template "tolerations" . }}
{{- end }}
{{- $_ := set . "volumeMounts" (concat .volumeMounts $caMounts) }}
{{- if and $volume (eq $template.name "dataset-download") }}
{{- include "vqi.freeFolder" (list "dataset.mountPath" $.Values.dataset.mountPath (concat .volumeMounts $inputs)) }}
{{- $_ := set $template "volumes" (list $volume) }}
{{- $_ := set . "volumeMounts" (append .volumeMounts (dict "name" "dataset" "mountPath" $.Values.dataset.mountPath "readOnly" true)) }}
{{- end }}
{{- range $mount := $.Values.extraVolumeMounts }}
{{- include "vqi.freeFolder" (list "extraVolumeMounts" .mountPath (concat $template.container.volumeMounts $inputs)) }}
{{- $_ := set $template.container "volumeMounts" (append $template.container.volumeMounts .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $spec -}}
{{- end -}}
