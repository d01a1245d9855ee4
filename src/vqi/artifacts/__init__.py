"""Every file format between steps: names, dtypes, shapes, provenance; ``save_*`` / ``load_*`` pairs.

Arrays are safetensors with a header that says what made them; tables are CSV; the rest is JSON. A load checks the
header and says what does not fit. Everything is written under a temporary name and renamed when complete.
"""

from vqi.artifacts.files import Json, atomic_path, provenance, read_json, write_json, write_text
from vqi.artifacts.images import (
    IMAGES_FILE,
    INDEX_FILE,
    Images,
    ImagesWriter,
    IndexRow,
    load_images,
    write_index,
)
from vqi.artifacts.model import (
    Detector,
    Features,
    load_detector,
    load_features,
    save_detector,
    save_features,
)
from vqi.artifacts.scores import (
    MAPS_FILE,
    SCORES_FILE,
    ScoreRow,
    load_maps,
    read_scores,
    save_maps,
    write_scores,
)
from vqi.artifacts.tensors import FloatArray, load_tensors, save_tensors, tensor_metadata, write_safetensors
from vqi.artifacts.training_log import Epoch, best_epoch, read_training_log, write_training_log

__all__ = [
    "IMAGES_FILE",
    "INDEX_FILE",
    "MAPS_FILE",
    "SCORES_FILE",
    "Detector",
    "Epoch",
    "Features",
    "FloatArray",
    "Images",
    "ImagesWriter",
    "IndexRow",
    "Json",
    "ScoreRow",
    "atomic_path",
    "best_epoch",
    "load_detector",
    "load_features",
    "load_images",
    "load_maps",
    "load_tensors",
    "provenance",
    "read_json",
    "read_scores",
    "read_training_log",
    "save_detector",
    "save_features",
    "save_maps",
    "save_tensors",
    "tensor_metadata",
    "write_index",
    "write_json",
    "write_safetensors",
    "write_scores",
    "write_text",
    "write_training_log",
]
