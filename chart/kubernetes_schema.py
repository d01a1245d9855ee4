"""The parts of a pod that values may contain, as JSON schemas: Kubernetes' own, with what its API server also checks.

Kubernetes' own schemas come with the package ``kubernetes_validate``. They allow ``null`` everywhere and any text for
what has a few values or a certain form: ``STRICTER`` says which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

VERSION = "v1.27.0"  # the oldest that the chart supports
_CORE, _NETWORKING = "io.k8s.api.core.v1", "io.k8s.api.networking.v1"
# What values contain.
_ROOTS = (
    f"{_CORE}.Affinity",
    f"{_CORE}.EnvVar",
    f"{_CORE}.Toleration",
    f"{_CORE}.TopologySpreadConstraint",
    f"{_CORE}.Volume",
    f"{_CORE}.VolumeMount",
    f"{_NETWORKING}.NetworkPolicyEgressRule",
    f"{_NETWORKING}.NetworkPolicyPeer",
)

Schema = dict[str, Any]

_NAME = {"$ref": "#/definitions/object-name"}
_KEY = {"$ref": "#/definitions/label-name"}
_VALUES = {"items": {"$ref": "#/definitions/label-value"}}
_LABELS = {"$ref": "#/definitions/labels"}
_FILE = {"type": "string", "pattern": "^[-._A-Za-z0-9]+$", "maxLength": 253, "not": {"pattern": "^[.]{1,2}$|^[.]{2}"}}
# Below the folder of a volume.
_PATH = {
    "type": "string",
    "pattern": "^[^/{}:\\s][^{}:\\s]*$",
    "maxLength": 1024,
    "not": {"pattern": "(^|/)[.]{2}(/|$)|^[.]{2}"},
}
_MODE = {"minimum": 0, "maximum": 0o777}
_WEIGHT = {"minimum": 1, "maximum": 100}
_ADDRESSES = {"$ref": "#/definitions/address-range"}
_SOURCE = {"minProperties": 1, "maxProperties": 1}
_AT_LEAST_ONE = {"minItems": 1}
_IDENTITY = ("metadata.name", "metadata.namespace", "metadata.uid")
_OF_A_POD = ("spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.podIP")

# Of a definition (its last name), or of one of its properties, what is added to it.
STRICTER: dict[str, Schema] = {
    "ConfigMapKeySelector.key": _FILE,
    "ConfigMapKeySelector.name": _NAME,
    "ConfigMapProjection.name": _NAME,
    "ConfigMapVolumeSource.defaultMode": _MODE,
    "ConfigMapVolumeSource.name": _NAME,
    "CSIVolumeSource.driver": {"pattern": "^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$", "maxLength": 63},
    "DownwardAPIVolumeFile": {"required": ["fieldRef", "path"]},
    "DownwardAPIVolumeFile.mode": _MODE,
    "DownwardAPIVolumeFile.path": _PATH,
    "DownwardAPIVolumeSource.defaultMode": _MODE,
    "EmptyDirVolumeSource.medium": {"enum": ["", "Memory"]},
    "EmptyDirVolumeSource.sizeLimit": {"$ref": "#/definitions/quantity-text"},
    "EnvVar": {"not": {"required": ["value", "valueFrom"]}},
    "EnvVar.name": {"pattern": "^[-._a-zA-Z][-._a-zA-Z0-9]*$", "not": {"pattern": "^[.]{1,2}$|^[.]{2}"}},
    "EnvVarSource": _SOURCE,
    "EnvVarSource.fieldRef": {
        "type": "object",
        "additionalProperties": False,
        "required": ["fieldPath"],
        "properties": {"fieldPath": {"enum": [*_IDENTITY, *_OF_A_POD]}},
    },
    "KeyToPath.key": _FILE,
    "KeyToPath.mode": _MODE,
    "KeyToPath.path": _PATH,
    "IPBlock.cidr": _ADDRESSES,
    # The ranges in it have to lie in the other, which a schema cannot say.
    "IPBlock.except": {"maxItems": 0},
    "LabelSelector.matchLabels": _LABELS,
    "LabelSelectorRequirement.key": _KEY,
    "LabelSelectorRequirement.values": _VALUES,
    "NetworkPolicyPeer": {
        "minProperties": 1,
        "not": {
            "anyOf": [{"required": ["ipBlock", "podSelector"]}, {"required": ["ipBlock", "namespaceSelector"]}],
        },
    },
    # A range of ports has to begin with a smaller one, which a schema cannot say.
    "NetworkPolicyPort.endPort": {"not": {}},
    "NetworkPolicyPort.port": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": "^[a-z]([a-z0-9]{0,14}|[a-z0-9]{0,6}-?[a-z0-9]{1,7})$"},
        ]
    },
    "NetworkPolicyPort.protocol": {"enum": ["TCP", "UDP", "SCTP"]},
    "NodeSelector.nodeSelectorTerms": _AT_LEAST_ONE,
    "NodeSelectorRequirement.key": _KEY,
    "NodeSelectorRequirement.values": _VALUES,
    "NodeSelectorTerm.matchFields": {"maxItems": 0},
    "ObjectFieldSelector.apiVersion": {"enum": ["v1"]},
    "ObjectFieldSelector.fieldPath": {"enum": [*_IDENTITY]},
    "PersistentVolumeClaimVolumeSource.claimName": _NAME,
    "PodAffinityTerm.namespaces": {"items": {"$ref": "#/definitions/dns-label"}},
    "PodAffinityTerm.topologyKey": _KEY,
    "PreferredSchedulingTerm.weight": _WEIGHT,
    "ProjectedVolumeSource": {"required": ["sources"]},
    "ProjectedVolumeSource.defaultMode": _MODE,
    "ResourceFieldSelector.resource": {
        "enum": [f"{end}.{kind}" for end in ("limits", "requests") for kind in ("cpu", "memory", "ephemeral-storage")]
    },
    "SecretKeySelector.key": _FILE,
    "SecretKeySelector.name": _NAME,
    "SecretProjection.name": _NAME,
    "SecretVolumeSource": {"required": ["secretName"]},
    "SecretVolumeSource.defaultMode": _MODE,
    "SecretVolumeSource.secretName": _NAME,
    "ServiceAccountTokenProjection.audience": {"pattern": "^[!-z|~]*$"},
    "ServiceAccountTokenProjection.expirationSeconds": {"minimum": 600, "maximum": 2**32},
    "ServiceAccountTokenProjection.path": _PATH,
    "Toleration": {
        "allOf": [
            {
                "if": {"required": ["operator"], "properties": {"operator": {"const": "Exists"}}},
                "then": {"properties": {"value": {"maxLength": 0}}},
                "else": {"required": ["key"]},
            },
            {
                "if": {"required": ["tolerationSeconds"]},
                "then": {"required": ["effect"], "properties": {"effect": {"const": "NoExecute"}}},
            },
        ]
    },
    "Toleration.effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    "Toleration.key": _KEY,
    "Toleration.operator": {"enum": ["Equal", "Exists"]},
    "Toleration.tolerationSeconds": {"minimum": 0, "maximum": 2**31 - 1},
    "Toleration.value": {"$ref": "#/definitions/label-value"},
    "TopologySpreadConstraint.maxSkew": {"minimum": 1, "maximum": 2**31 - 1},
    "TopologySpreadConstraint.topologyKey": _KEY,
    "TopologySpreadConstraint.whenUnsatisfiable": {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    "Volume": {"minProperties": 2, "maxProperties": 2},
    "Volume.name": {"$ref": "#/definitions/dns-label"},
    "VolumeMount.mountPath": {"$ref": "#/definitions/mount-path"},
    "VolumeMount.name": {"$ref": "#/definitions/dns-label"},
    "VolumeMount.subPath": _PATH,
    "VolumeProjection": _SOURCE,
    "WeightedPodAffinityTerm.weight": _WEIGHT,
}
# How many values an operator takes.
_SELECTING = {"In": _AT_LEAST_ONE, "NotIn": _AT_LEAST_ONE, "Exists": {"maxItems": 0}, "DoesNotExist": {"maxItems": 0}}
_ONE_NUMBER = {"minItems": 1, "maxItems": 1, "items": {"type": "string", "pattern": "^[0-9]{1,18}$"}}
OPERATORS: dict[str, dict[str, Schema]] = {
    "LabelSelectorRequirement": _SELECTING,
    "NodeSelectorRequirement": {**_SELECTING, "Gt": _ONE_NUMBER, "Lt": _ONE_NUMBER},
}
# Fields that the oldest Kubernetes does not have, that need more than a schema to be right, or that the namespace's
# "restricted" Pod Security refuses.
KEPT: dict[str, tuple[str, ...]] = {
    "CSIVolumeSource": ("driver", "readOnly", "volumeAttributes"),
    "DownwardAPIVolumeFile": ("fieldRef", "mode", "path"),
    "PodAffinityTerm": ("labelSelector", "namespaces", "topologyKey"),
    "ResourceFieldSelector": ("resource",),
    "TopologySpreadConstraint": ("labelSelector", "maxSkew", "topologyKey", "whenUnsatisfiable"),
    "Volume": (
        *("configMap", "csi", "downwardAPI", "emptyDir", "name"),
        *("persistentVolumeClaim", "projected", "secret"),
    ),
    "VolumeMount": ("mountPath", "name", "readOnly", "subPath"),
}


def definitions() -> dict[str, Schema]:
    """The definitions of what values may contain of a pod and of a NetworkPolicy, by Kubernetes' names."""
    path = files("kubernetes_validate") / "kubernetes-json-schema" / f"{VERSION}-local-strict" / "_definitions.json"
    known = json.loads(path.read_text(encoding="utf-8"))["$defs"]
    found: dict[str, Schema] = {}
    wanted = list(_ROOTS)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _definition(name.rpartition(".")[2], known[name])
            wanted += [other for other in _references(found[name]) if other in known]
    return dict(sorted(found.items()))


def _definition(name: str, known: Schema) -> Schema:
    """One of Kubernetes' definitions, without what is not kept and with what is added."""
    kept = KEPT.get(name, tuple(known["properties"]))
    properties = {
        field: _with(_strict(known["properties"][field]), STRICTER.get(f"{name}.{field}", {})) for field in kept
    }
    required = [field for field in known.get("required", ()) if field in properties]
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    schema |= ({"required": required} if required else {}) | STRICTER.get(name, {})
    if name in OPERATORS:
        properties["operator"] = {"enum": list(OPERATORS[name])}
        schema["allOf"] = [
            {"if": {"properties": {"operator": {"const": operator}}}, "then": _of_values(values)}
            for operator, values in OPERATORS[name].items()
        ]
    return schema


def _of_values(values: Schema) -> Schema:
    return {"properties": {"values": values}} | ({"required": ["values"]} if values.get("minItems") else {})


def _with(schema: Schema, stricter: Schema) -> Schema:
    """A property with what is added to it; a reference cannot have anything beside it."""
    whole = "$ref" in schema or "$ref" in stricter
    return stricter if whole and stricter else schema | stricter


def _strict(schema: Any) -> Any:
    """A schema without descriptions and Kubernetes' hints, and without null as a type."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: v for k, v in schema.items() if k not in ("description", "default", "format") and not k.startswith("x-")}
    inside = {key: _strict(part) for key, part in kept.items()}
    if isinstance(kind := inside.get("type"), list):
        (inside["type"],) = [one for one in kind if one != "null"]
    if "$ref" in inside:
        inside["$ref"] = f"#/definitions/{inside['$ref'].rpartition('/')[2]}"
    return inside


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        if isinstance(name := schema.get("$ref"), str):
            yield name.rpartition("/")[2]
        for part in schema.values():
            yield from _references(part)
