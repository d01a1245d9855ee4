"""Reading of the second document of a compiled pipeline: the settings of the steps' pods from kfp-kubernetes.

Format: ``kubernetes_executor_config.proto`` of kfp-kubernetes 2.17. Names of secrets, config maps and claims must
be constants in the pipeline: one that comes from a parameter is refused.
"""

from __future__ import annotations

from vqi.errors import VqiError
from vqi_pipelines.ir import admission
from vqi_pipelines.ir.graph import Claim, KeptValue, PodSettings, Toleration
from vqi_pipelines.ir.node import Node

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MOST_SECONDS = 2**31 - 1
_KEPT = (("secretAsEnv", "Secret", "secret"), ("configMapAsEnv", "ConfigMap", "configMap"))


def read_pod_settings(node: Node) -> dict[str, PodSettings]:
    """The pod settings by executor; an executor without settings is left out.

    Raises:
        VqiError: A platform or setting that no backend supports; with the place.
    """
    platforms = node.node("platforms")
    if not platforms.has("kubernetes"):
        raise VqiError(f"platforms.kubernetes: expected settings for Kubernetes, got {platforms.keys() or 'nothing'}")
    kubernetes = platforms.node("kubernetes")
    spec = kubernetes.node("deploymentSpec")
    found = {key: _pod_settings(executor) for key, executor in spec.node("executors").nodes()}
    for part in (spec, kubernetes, platforms, node):
        part.end()
    return {key: settings for key, settings in found.items() if settings != PodSettings()}


def _pod_settings(node: Node) -> PodSettings:
    _check_user(node.node("securityContext"))
    selector, metadata = node.node("nodeSelector"), node.node("podMetadata")
    settings = PodSettings(
        node_selector=_texts(selector.node("labels")),
        tolerations=tuple(_toleration(part) for part in _list(node, "tolerations")),
        env=tuple(value for names in _KEPT for part in _list(node, names[0]) for value in _kept(part, *names[1:])),
        claims=tuple(_claim(part) for part in _list(node, "pvcMount")),
        pull_policy=_pull_policy(node),
        deadline_seconds=_seconds(node, "activeDeadlineSeconds", least=1),
        labels=_texts(metadata.node("labels")),
        annotations=_texts(metadata.node("annotations")),
    )
    for part in (selector, metadata, node):
        part.end()
    admission.check_labels(settings.node_selector, selector.at("labels"))
    admission.check_labels(settings.labels, metadata.at("labels"))
    admission.check_annotations(settings.annotations, metadata.at("annotations"))
    return settings


def _check_user(context: Node) -> None:
    """A step that must not be root needs no setting: on a cluster no step is root."""
    if not context.maybe("runAsNonRoot", bool, True):
        raise VqiError(f"{context.at('runAsNonRoot')}: a step that may be root is not supported")
    context.end(runAsUser="a user id of a step", runAsGroup="a group id of a step")


def _list(node: Node, key: str) -> list[Node]:
    values = node.maybe(key, list, [])
    return [Node(value, f"{node.at(key)}[{place}]") for place, value in enumerate(values)]


def _texts(node: Node) -> dict[str, str]:
    return {key: node.take(key, str) for key in node.keys()}  # noqa: SIM118 - a Node is no mapping


def _toleration(node: Node) -> Toleration:
    toleration = Toleration(
        key=node.maybe("key", str, ""),
        operator=node.maybe("operator", str, "Equal"),
        value=node.maybe("value", str, ""),
        effect=node.maybe("effect", str, ""),
        seconds=_seconds(node, "tolerationSeconds"),
    )
    node.end(tolerationJson="a toleration from a parameter")
    admission.check_toleration(toleration.key, toleration.operator, toleration.value, toleration.effect, node.place)
    return toleration


def _kept(node: Node, kind: str, prefix: str) -> list[KeptValue]:
    """The variables of one Secret or ConfigMap."""
    name = _constant_name(node, f"{prefix}Name", f"{prefix}NameParameter")
    optional = node.maybe("optional", bool, False)
    pairs = _list(node, "keyToEnv")
    values = [KeptValue(p.take("envVar", str), kind, name, p.take(f"{prefix}Key", str), optional) for p in pairs]
    for part in (*pairs, node):
        part.end()
    for pair, value in zip(pairs, values, strict=True):
        admission.check_variable(value.variable, "", pair.at("envVar"))
        admission.check_data_key(value.key, pair.at(f"{prefix}Key"))
    return values


def _claim(node: Node) -> Claim:
    claim = Claim(_constant_name(node, "constant", "pvcNameParameter"), node.take("mountPath", str))
    admission.check_mount_path(claim.path, node.at("mountPath"))
    node.end(taskOutputParameter="a claim that a task makes", componentInputParameter="a claim from a parameter")
    return claim


def _constant_name(node: Node, key: str, parameter: str) -> str:
    """A name that is a constant in the pipeline: kfp-kubernetes writes it in two fields at the same time."""
    source = node.node(parameter)
    value = source.node("runtimeValue")
    names = {node.maybe(key, str, ""), value.maybe("constant", str, "")} - {""}
    value.end()
    source.end(componentInputParameter="a name from a parameter", taskOutputParameter="a name from a task")
    if len(names) != 1:
        raise VqiError(f"{node.at(key)}: expected a name, got {' and '.join(sorted(names)) or 'nothing'}")
    name = str(names.pop())
    admission.check_object(name, node.at(key))
    return name


def _pull_policy(node: Node) -> str | None:
    policy = node.maybe("imagePullPolicy", str, "") or None
    if policy and policy not in _PULL_POLICIES:
        raise VqiError(f"{node.at('imagePullPolicy')}: expected one of {', '.join(_PULL_POLICIES)}, got '{policy}'")
    return policy


def _seconds(node: Node, key: str, least: int = 0) -> int | None:
    """A number of seconds; protobuf writes 64-bit ones as texts."""
    text = str(node.maybe(key, (int, str), ""))
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= _MOST_SECONDS):
        raise VqiError(f"{node.at(key)}: expected whole seconds from {least} to {_MOST_SECONDS}, got '{text[:50]}'")
    return int(text)
