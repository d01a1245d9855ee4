{{/* A cron line with numbers for the names of months and days, which Argo 4 does not take, and one blank between fields. */}}
{{- define "vqi.cronLine" -}}
{{- $fields := regexSplit "[ \\t]+" (lower . | trimAll " \t") -1 -}}
{{- if eq (len $fields) 5 -}}
{{- $months := index $fields 3 -}}
{{- range $number, $name := list "jan" "feb" "mar" "apr" "may" "jun" "jul" "aug" "sep" "oct" "nov" "dec" }}{{ $months = replace $name (add $number 1 | toString) $months }}{{ end -}}
{{- $days := index $fields 4 -}}
{{- range $number, $name := list "sun" "mon" "tue" "wed" "thu" "fri" "sat" }}{{ $days = replace $name (toString $number) $days }}{{ end -}}
{{- concat (slice $fields 0 3) (list $months $days) | join " " -}}
{{- else }}{{ . }}
{{- end -}}
{{- end -}}
