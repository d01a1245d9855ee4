{{/* What a schema cannot say of values. Each of these writes nothing, or fails. */}}

{{/* Argo would fill in what looks like a reference; a list of its place and the value. */}}
{{- define "vqi.literal" -}}
{{- $value := index . 1 -}}
{{- $text := kindIs "string" $value | ternary $value (toJson $value) -}}
{{- if contains "{{" $text }}{{ fail (printf "%s contains '{{', which Argo would fill in: %s" (index . 0) $text) }}{{ end -}}
{{- end -}}

{{/* A login in a value would be readable in every workflow; a list of the place and the address. */}}
{{- define "vqi.noLogin" -}}
{{- if contains "@" (index . 1) }}{{ fail (printf "%s: expected an address without a login, which would be readable in every workflow: put the address into a Secret and name that in proxy.existingSecret" (index . 0)) }}{{ end -}}
{{- end -}}

{{/*
A folder for a volume is none of those that the step or its image needs, nor one with such a folder in it; a list of its
place, its path, and the mounts that there are already. Those of the image and of Argo are listed here, those of the steps come from the pipeline.
*/}}
{{- define "vqi.freeFolder" -}}
{{- $place := index . 0 -}}
{{- $path := index . 1 -}}
{{- $used := list "/argo" "/bin" "/dev" "/etc" "/lib" "/lib64" "/opt/vqi" "/proc" "/root" "/run" "/sbin" "/sys" "/usr" "/var/run" -}}
{{- range index . 2 }}{{ $used = append $used .mountPath }}{{ end -}}
{{- range $used -}}
{{- $inside := and (hasPrefix (printf "%s/" .) $path) (ne . "/etc") -}}
{{- if or (eq . $path) $inside (hasPrefix (printf "%s/" $path) .) }}{{ fail (printf "%s: expected a folder that the steps do not use, such as /data; got '%s', but they use %s" $place $path .) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Two with the same name; a list of the place, the names, and those that are in use already. */}}
{{- define "vqi.newNames" -}}
{{- $place := index . 0 -}}
{{- $used := index . 2 -}}
{{- range index . 1 -}}
{{- if has . $used }}{{ fail (printf "%s: expected another name than '%s', which is in use" $place .) }}{{ end -}}
{{- $used = append $used . -}}
{{- end -}}
{{- end -}}

{{/* No container requests more than its limit; a list of the place and the resources. */}}
{{- define "vqi.withinLimits" -}}
{{- $place := index . 0 -}}
{{- $limits := (index . 1).limits -}}
{{- range $name, $asked := (index . 1).requests -}}
{{- $limit := get $limits $name -}}
{{- if and $limit (gt (include "vqi.amount" $asked | float64) (include "vqi.amount" $limit | float64)) }}{{ fail (printf "%s.requests.%s: expected at most the limit, %v; got %v" $place $name $limit $asked) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes as a number. */}}
{{- define "vqi.amount" -}}
{{- if kindIs "string" . -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $factor := get (dict "" 1.0 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0) $unit -}}
{{- mulf (trimSuffix $unit . | float64) $factor -}}
{{- else }}{{ float64 . }}
{{- end -}}
{{- end -}}
