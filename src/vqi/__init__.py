"""Visual quality inspection: learns what good parts look like and flags what is not.

One line per room (a package) and per module of the ground that all rooms stand on, in the order of the data path;
``[T]`` imports torch, the others never do::

    errors                  errors of the user: one line that names the thing, what was expected, got, and what to do
    redaction               texts without the logins and signatures of addresses, and without control characters
    strict_json             JSON text: one meaning or refused
    records                 frozen pydantic records: what travels between steps, unknown keys refused
    sizes                   the size that photographs are scaled to
    formatting              figures as they are printed for people
    progress                how far long work is, on stderr
    digests                 sha256 of bytes, files and JSON values
    config                  one pydantic model per step: every name, default and range
    layers                  the names of the layers of backbones
    recipe                  digest of the parameters and the code that make a model
    intervals               how far a measured AUROC may be from the true one
    metrics                 what is measured on a test set
    system/                 what this machine grants: processor, memory; locks, scratch folders, concurrent work
    store/                  the object store of datasets and models: a folder or S3
    sinks/                  rows of photographs to a webhook or an MQTT broker, at least once
    transfer/               files from servers into a local cache; untrusted archives, unpacked safely
    photographs/            one photograph at a time: bytes -> pixels; which photographs show the same part
    verdicts/               what operators say of photographs: records in the store, and what stands of them
    datasets/               a source -> one packed shard per category in the store
    artifacts/              every file format between steps
    preparation/            a shard -> uint8 images, masks, data report
    network/            [T] images -> features of any layer: backbones, their weights, what runs them
    self_supervised/    [T] a backbone -> a backbone fine-tuned on good images
    detectors/              features -> what is normal; scores, anomaly maps, threshold
    outcomes                what became of each category of a run, in the store, for the table
    conclusion              whether a model can be used, why, and what to do now
    evaluation              features and a detector -> scores, metrics, what the report shows
    pages/                  what people read: report, table, data page, runs
    models/                 the versions of published models in the store, which one is used, the gate that decides it;
                            what is read and said of new photographs
    models.model        [T] a model -> scores, verdicts and places of new photographs
    models.assessment   [T] a model and labelled photographs -> metrics
    models.fitting      [T] good photographs -> a model, without a store
    export/             [T] a model -> one file for a run time without Python
    serving/                models over HTTP, and a page for people
    mirrors/                what other registries show of the models: MLflow, the Kubeflow Model Registry

The face for programs is here, and imported when it is first used: ``load``, ``fit``, ``Model``, ``ExportedModel``,
``Result``, ``Failure``, ``VqiError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vqi.errors import VqiError
    from vqi.models.exported import ExportedModel
    from vqi.models.fitting import fit
    from vqi.models.loading import load
    from vqi.models.model import Model
    from vqi.models.reading import Failure
    from vqi.models.result import Result

__version__ = "0.1.0"

__all__ = ["ExportedModel", "Failure", "Model", "Result", "VqiError", "fit", "load"]

if not TYPE_CHECKING:
    # what is imported when it is first used, because `import vqi` must be cheap
    _PLACES = {
        "VqiError": "vqi.errors",
        "Failure": "vqi.models.reading",
        "Result": "vqi.models.result",
        "ExportedModel": "vqi.models.exported",
        "Model": "vqi.models.model",
        "load": "vqi.models.loading",
        "fit": "vqi.models.fitting",
    }

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module 'vqi' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)

    def __dir__():
        return sorted({*globals(), *_PLACES})
