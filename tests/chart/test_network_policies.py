"""With networkPolicy.enabled only what is needed is open, to the object store as well."""

from __future__ import annotations

from typing import Any

from tests.chart.rendering import LEAST, OWN_STORE, one, refused_by_a_cluster, render

ON = {"networkPolicy": {"enabled": True}}


def policies(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    objects = render(values)
    assert refused_by_a_cluster(objects, None) == []
    found = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "NetworkPolicy"}
    labels = one(objects, "WorkflowTemplate")["spec"]["podMetadata"]["labels"]
    assert found["rel"]["podSelector"]["matchLabels"] == labels
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in found.values())
    assert found["rel"]["ingress"] == []
    return found


def ports(spec: dict[str, Any]) -> list[list[int]]:
    assert all(rule["ports"] for rule in spec["egress"]), "no rule opens everything"
    return [[port["port"] for port in rule["ports"]] for rule in spec["egress"]]


def test_the_steps_reach_only_what_they_need() -> None:
    (spec,) = policies(LEAST | ON).values()
    assert ports(spec) == [[53, 53], [443, 6443], [443]]
    elsewhere = {"proxy": {"https": "http://proxy.example.com:3128"}, "networkPolicy": {
        "enabled": True, "apiServer": ["10.1.0.1/32"], "store": ["10.2.0.0/16", "fd00::/8"],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.3.0.0/16"}}], "ports": [{"port": 443}]}],
    }}  # fmt: skip
    values = (
        LEAST | elsewhere | {"artifactRepository": {"bucket": "runs", "endpoint": "10.2.0.1:9000", "insecure": True}}
    )
    (spec,) = policies(values).values()
    assert ports(spec) == [[53, 53], [443, 6443], [443, 9000], [3128], [443]]
    assert spec["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.1/32"}}]
    assert [to["ipBlock"]["cidr"] for to in spec["egress"][2]["to"]] == ["10.2.0.0/16", "fd00::/8"]


def test_the_own_store_is_reached_by_the_steps_alone() -> None:
    found = policies(OWN_STORE | ON)
    assert ports(found["rel"]) == [[53, 53], [443, 6443], [8333]]
    steps, store = found["rel"], found["rel-seaweedfs"]
    assert steps["egress"][2]["to"] == [{"podSelector": store["podSelector"]}]
    assert store["egress"] == [], "it sends nothing"
    (rule,) = store["ingress"]
    assert rule["from"] == [{"podSelector": steps["podSelector"]}]
    page = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "argo"}}}
    more = policies(OWN_STORE | {"networkPolicy": {"enabled": True, "storeClients": [page]}})
    assert more["rel-seaweedfs"]["ingress"][0]["from"] == [{"podSelector": steps["podSelector"]}, page]


def test_what_is_shown_of_the_keys_says_nothing_about_them() -> None:
    """Only who can read the Secret can tell whether keys that he guesses are right."""
    keys = {"accessKey": "AK", "secretKey": "SK"}
    shown = set()
    for _ in range(2):
        objects = render(OWN_STORE | {"store": keys})
        annotations = one(objects, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        shown.add(annotations["checksum/keys"])
        (secret,) = [o for o in objects if o["metadata"]["name"] == "rel-store"]
        assert len(secret["stringData"]["SALT"]) == 40
    assert len(shown) == 2, "salted"
