"""Triton's own client speaks with the service, in a process of its own: it brings gevent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.vqi.serving.made import photograph
from tests.vqi.serving.test_server import running

CLIENT = """
import sys
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

client = http.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("bracket")
assert client.is_model_ready("bracket", "7") and not client.is_model_ready("bracket", "8")
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
assert client.get_model_metadata("bracket")["versions"] == ["7"]

def scores(array, binary, datatype, outputs=None):
    tensor = http.InferInput("image", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return client.infer("bracket", [tensor], outputs=outputs)

pixels = np.full((2, 5, 4, 3), 150, np.uint8)
pixels[0] = 50
for binary in (True, False):
    found = scores(pixels, binary, "UINT8")
    assert found.as_numpy("score").tolist() == [50, 150], found.as_numpy("score")
    assert found.as_numpy("anomalous").tolist() == [False, True]
    assert found.as_numpy("anomaly_map").shape == (2, 2, 2)
asked = [http.InferRequestedOutput("score", binary_data=False)]
file = np.array([sys.stdin.buffer.read()], dtype=np.object_)
found = scores(file, True, "BYTES", asked)
assert found.as_numpy("score").tolist() == [150]
assert found.as_numpy("p_value") is None
try:
    scores(np.zeros((1, 3, 5, 4), np.uint8), True, "UINT8")
except InferenceServerException as error:
    assert error.status() == "400" and "[N, height, width, 3]" in error.message(), error
else:
    raise AssertionError("expected a refusal")
print("well")
"""


@pytest.mark.slow
def test_tritons_client() -> None:
    with running() as one:
        host, port = one.address
        command = [sys.executable, "-c", CLIENT, f"{host}:{port}"]
        done = subprocess.run(command, input=photograph(150), capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"well\n"), done.stderr.decode()
