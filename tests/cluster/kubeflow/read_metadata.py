"""Prints what ML Metadata keeps of a run of Kubeflow, as JSON: read_metadata.py HOST:PORT RUN_ID

Runs with a Python of its own, because ml-metadata cannot be installed together with kfp.
"""

import json
import sys

from google.protobuf import json_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb


def plain(value):
    """A property: a number, a text, or what a struct holds below ``list`` or ``struct``, where Kubeflow puts it."""
    kind = value.WhichOneof("value")
    if kind != "struct_value":
        return getattr(value, kind)
    ((name, content),) = json_format.MessageToDict(value.struct_value).items()
    assert name in ("list", "struct"), name
    return content


def properties(of):
    return {name: plain(value) for name, value in of.custom_properties.items() if value.WhichOneof("value")}


host, _, port = sys.argv[1].rpartition(":")
store = metadata_store.MetadataStore(pb.MetadataStoreClientConfig(host=host, port=int(port)))
context = store.get_context_by_type_and_name("system.PipelineRun", sys.argv[2])
types = {one.id: one.name for one in store.get_artifact_types()}
found = {
    "artifacts": [
        {"type": types[one.type_id], "uri": one.uri, "properties": properties(one)}
        for one in store.get_artifacts_by_context(context.id)
    ],
    "executions": [
        {
            "state": pb.Execution.State.Name(one.last_known_state),
            "task": one.custom_properties["task_name"].string_value,
            "properties": sorted(one.custom_properties),
            "began": one.create_time_since_epoch / 1000,
            "ended": one.last_update_time_since_epoch / 1000,
        }
        for one in store.get_executions_by_context(context.id)
    ],
}
print(json.dumps(found))
