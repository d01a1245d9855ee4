{{/* The pods that serve models. Lists are JSON objects with the key "list". */}}

{{- define "vqi.serving" -}}{{ include "vqi.name" . }}-serving{{- end -}}

{{/* Labels that select them. */}}
{{- define "vqi.servingLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-serving
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* What a schema cannot say of these values. Writes nothing, or fails. */}}
{{- define "vqi.checkServing" -}}
{{- $serving := .Values.serving -}}
{{- include "vqi.withinLimits" (list "serving.resources" $serving.resources) -}}
{{- if lt ($serving.replicas.max | int) ($serving.replicas.min | int) }}{{ fail (printf "serving.replicas.max: expected at least serving.replicas.min, %v; got %v" $serving.replicas.min $serving.replicas.max) }}{{ end -}}
{{- if and (eq $serving.image "vqi-serve") (not $serving.models) }}{{ fail "serving.models: expected exported files, because serving.image is vqi-serve, which has no torch for published models" }}{{ end -}}
{{- if and (hasPrefix "mqtt" $serving.sink.address) (not (regexMatch "^mqtts?://[^/]+/[^+]+$" $serving.sink.address)) }}{{ fail "serving.sink.address: expected a topic without + and #, such as mqtts://host/line4/parts" }}{{ end -}}
{{- if and $serving.sink.existingSecret (not $serving.sink.address) }}{{ fail "serving.sink.existingSecret: expected with serving.sink.address" }}{{ end -}}
{{- if and $serving.ingress.enabled (not $serving.ingress.host) }}{{ fail "serving.ingress.host: expected the host that the Ingress is for, such as vqi.example.com" }}{{ end -}}
{{- if $serving.kserve.enabled -}}
{{- range list "ingress" "serviceMonitor" -}}
{{- if (get $serving .).enabled }}{{ fail (printf "serving.%s.enabled: expected false, because with serving.kserve.enabled KServe makes the Service" .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The variables of the store, as the steps have them; with the token, the proxy and the certificates. */}}
{{- define "vqi.servingEnv" -}}
{{- $serving := .Values.serving -}}
{{- $secret := $serving.storeSecret | default (include "vqi.storeSecret" .) -}}
{{- $env := list -}}
{{- range (.Files.Get "files/training.yaml" | fromYaml).spec.templates -}}
{{- if eq .name "summarize" -}}
{{- range .container.env -}}
{{- if and .valueFrom .valueFrom.secretKeyRef -}}
{{- $_ := set .valueFrom.secretKeyRef "name" $secret -}}
{{- if eq .name "VQI_STORE" }}{{ $_ := unset .valueFrom.secretKeyRef "optional" }}{{ end -}}
{{- $env = append $env . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $serving.token.existingSecret -}}
{{- $env = append $env (dict "name" "VQI_TOKEN" "valueFrom" (dict "secretKeyRef" (dict "name" . "key" $serving.token.key))) -}}
{{- end -}}
{{- with $serving.sink.existingSecret -}}
{{- $secret := . -}}
{{- range list "VQI_SINK_USER" "VQI_SINK_PASSWORD" "VQI_SINK_TOKEN" -}}
{{- $env = append $env (dict "name" . "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" . "optional" true))) -}}
{{- end -}}
{{- end -}}
{{- dict "list" (concat $env (include "vqi.networkEnv" (list . list) | fromJson).list) | toJson -}}
{{- end -}}

{{/* What they serve, as arguments: uris, and places in the store. Kubernetes puts the store's uri in. */}}
{{- define "vqi.servingArgs" -}}
{{- $serving := .Values.serving -}}
{{- $args := list "vqi" "serve" -}}
{{- range $serving.models }}{{ $args = append $args (hasPrefix "s3://" . | ternary . (printf "$(VQI_STORE)/%s" .)) }}{{ end -}}
{{- if not $serving.models }}{{ $args = append $args "$(VQI_STORE)" }}{{ end -}}
{{- $args = concat $args (list "--host" "0.0.0.0" "--port" "8000" "--reload" (toString $serving.reload)) -}}
{{- range $name, $value := dict "queue" $serving.queue "max-bytes" $serving.maxBytes "timeout" $serving.timeout -}}
{{- $args = concat $args (list (printf "--%s" $name) ($value | int64 | toString)) -}}
{{- end -}}
{{- with $serving.verdicts -}}
{{- if .enabled -}}
{{- $args = concat $args (list "--verdicts" "$(VQI_STORE)") -}}
{{- if not .photographs }}{{ $args = append $args "--digest-only" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $serving.sink -}}
{{- if .address }}{{ $args = concat $args (list "--sink" .address "--sink-queue" "/var/lib/vqi/queue" "--sink-limit" (.limit | int64 | toString)) }}{{ end -}}
{{- end -}}
{{- dict "list" $args | toJson -}}
{{- end -}}

{{/*
The spec of such a pod; a list of the root context and the name of the container. It gets no token of the service account, writes only below /tmp, and
answers for some seconds after it is asked to end, because others take that long to know.
*/}}
{{- define "vqi.servingPod" -}}
{{- $root := index . 0 -}}
{{- $serving := $root.Values.serving -}}
{{- with $serving.serviceAccount | default ($root.Values.store.useSDKCreds | ternary (include "vqi.serviceAccount" $root) "") }}
serviceAccountName: {{ . | quote }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
# What was accepted is answered first, in at most twice the time that a client has.
terminationGracePeriodSeconds: {{ add (mul 2 ($serving.timeout | int)) 15 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 0
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- range $name := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $serving $name }}
{{ $name }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "vqi.servingLabels" $root | nindent 8 }}
containers:
  - name: {{ index . 1 }}
    image: {{ include "vqi.image" (list $root $serving.image) | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{- (include "vqi.servingArgs" $root | fromJson).list | toYaml | nindent 6 }}
    env: {{- (include "vqi.servingEnv" $root | fromJson).list | toYaml | nindent 6 }}
    ports:
      - name: http
        containerPort: 8000
        protocol: TCP
    # It listens before its models are loaded, and answers then.
    startupProbe:
      httpGet: {path: /readyz, port: 8000}
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 150
    readinessProbe:
      httpGet: {path: /readyz, port: 8000}
      periodSeconds: 5
      timeoutSeconds: 5
    livenessProbe:
      httpGet: {path: /healthz, port: 8000}
      periodSeconds: 20
      timeoutSeconds: 10
      failureThreshold: 6
    lifecycle:
      preStop:
        exec: {command: [sleep, "5"]}
    terminationMessagePolicy: FallbackToLogsOnError
    resources: {{- include "vqi.resources" $serving.resources | fromJson | toYaml | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      readOnlyRootFilesystem: true
      runAsNonRoot: true
      seccompProfile: {type: RuntimeDefault}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if $serving.sink.address }}
      - name: queue
        mountPath: /var/lib/vqi/queue
      {{- end }}
      {{- with (include "vqi.caMounts" $root | fromJson).list }}{{ toYaml . | nindent 6 }}{{ end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 4Gi}
  {{- if $serving.sink.address }}
  # What waits for the sink outlives the container, and not the pod.
  - name: queue
    emptyDir: {sizeLimit: 4Gi}
  {{- end }}
  {{- with include "vqi.caVolume" $root | fromJson }}
  - {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
