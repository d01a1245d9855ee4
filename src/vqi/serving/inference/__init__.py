"""The Open Inference Protocol, version 2, over HTTP, with its extension for binary data.

Source: https://github.com/kserve/open-inference-protocol; what KServe, Triton and OpenVINO Model Server speak. A model
has one input, ``image``: UINT8 (N, H, W, 3), RGB, or BYTES (N), each the bytes of an image file. Its outputs have the
names and types of those of an exported file (docs/export.md).
"""
