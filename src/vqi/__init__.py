"""Visual quality inspection: learns what good parts look like and flags what is not.

The data path, one line a module; ``[T]`` imports torch, the others never do::

    config             one pydantic model a step: every name, default and range
    store/             the object store of datasets and models: a folder or S3
    artifacts/         every file format between steps
    datasets/          a source -> one packed shard a category in the store
    images, decoding   a shard -> uint8 arrays, masks, data report
    processor          what this machine grants: cores, memory
    budget             memory that threads share
    runtime       [T]  what this processor can do: engine, precision
    backbones     [T]  a network by name, with its normalisation; any layer
    weights       [T]  its weights: by file with sha256, by package
    truncation    [T]  the part of a network that a layer needs
    self_supervised/ [T]  a backbone -> a backbone fine-tuned on good images
    features      [T]  images -> (N, D) features of one layer
    detectors/         features -> PCA; scores and anomaly maps
    calibration        the threshold, from good images only
    metrics            what is measured on a test set
    evaluation         features and a detector -> scores, metrics, what the report shows
    report             a category's page (findings: its words, charts, maps, pages: its pictures)
    table              the result table over categories
    registry           model versions in the store
    inference     [T]  a published model -> scores and maps of new images
    digests, errors, formatting, progress   small things that all use
"""

__version__ = "0.1.0"
