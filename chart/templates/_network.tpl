{{/* Address ranges as the "to" of a rule; nothing, which is any address, when there are none. */}}
{{- define "vqi.addresses" -}}
{{- with . -}}
to:
{{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The port of an address; a list of it and the port that it has when it names none. */}}
{{- define "vqi.port" -}}
{{- $address := index . 0 -}}
{{- $otherwise := hasPrefix "https://" $address | ternary "443" (hasPrefix "http://" $address | ternary "80" (index . 1)) -}}
{{- regexFind ":[0-9]+$" (trimSuffix "/" $address) | trimPrefix ":" | default $otherwise -}}
{{- end -}}

{{/* The ports of an object store that is not the release's own. */}}
{{- define "vqi.storePorts" -}}
{{- $ports := list -}}
{{- if not .Values.seaweedfs.enabled -}}
{{- $ports = append $ports (include "vqi.port" (list .Values.store.endpoint "443") | int) -}}
{{- $artifacts := .Values.artifactRepository -}}
{{- if and $artifacts.enabled $artifacts.endpoint }}{{ $ports = append $ports (include "vqi.port" (list $artifacts.endpoint ($artifacts.insecure | ternary "80" "443")) | int) }}{{ end -}}
{{- end -}}
{{- $rules := list -}}
{{- range uniq $ports }}{{ $rules = append $rules (dict "port" . "protocol" "TCP") }}{{ end -}}
{{- if $rules }}{{ dict "list" $rules | toJson }}{{ else }}{}{{ end -}}
{{- end -}}

{{/* The rules by which the object store is reached, through the proxy where there is one. */}}
{{- define "vqi.storeEgress" -}}
# The object store.
{{- if .Values.seaweedfs.enabled }}
- ports: [{port: 8333, protocol: TCP}]
  to:
    - podSelector:
        matchLabels: {{- include "vqi.seaweedfsLabels" . | nindent 10 }}
{{- end }}
{{- $addresses := .Values.networkPolicy.store -}}
{{- with include "vqi.storePorts" . | fromJson }}
- ports: {{- toYaml .list | nindent 4 }}
  {{- include "vqi.addresses" $addresses | nindent 2 }}
{{- end }}
{{- with compact (list .Values.proxy.http .Values.proxy.https) }}
# The proxy.
- ports:
    {{- range uniq . }}
    - {port: {{ include "vqi.port" (list . "80") }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end -}}
