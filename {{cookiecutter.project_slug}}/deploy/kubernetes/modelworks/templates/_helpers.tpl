{{/* Labels by which a component's pods are selected; they never change. Takes the release and `component`. */}}
{{- define "modelworks.selector" -}}
app.kubernetes.io/name: modelworks
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "modelworks.labels" -}}
{{ include "modelworks.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The image of a release, or of its canary. Takes the repository, `tag` and `digest`. */}}
{{- define "modelworks.image" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ required (printf "set %s.tag or %s.digest to a version of the image" .value .value) .tag }}
{{- end }}
{{- end }}

{{/* What every pod of the chart has. */}}
{{- define "modelworks.pod" -}}
automountServiceAccountToken: false
# Variables of services could be read as settings: a service "mlflow" would set MLFLOW_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: var
    emptyDir: {}
  - name: tmp
    emptyDir: {}
{{- end }}

{{/* What every container of the chart has. */}}
{{- define "modelworks.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: var, mountPath: /app/var }
  - { name: tmp, mountPath: /tmp }
{{- end }}

{{/* Replicas on different nodes and zones, where there are such. Takes the release and `component`. */}}
{{- define "modelworks.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "modelworks.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{- define "modelworks.store" -}}
{{- with .Values.secrets.store }}
- secretRef: { name: {{ . }} }
{{- end }}
{{- end }}

{{- define "modelworks.dns" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}

{{/* Takes an address of `networkPolicy`. */}}
{{- define "modelworks.egress" -}}
- to:
    - ipBlock: { cidr: {{ .cidr }} }
  ports:
    - { protocol: TCP, port: {{ .port }} }
{{- end }}
