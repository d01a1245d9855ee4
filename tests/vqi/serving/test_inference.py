"""The Open Inference Protocol: tensors in JSON and binary, encoded images, and every way to get it wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_cases
from tests.vqi.serving.made import BROKEN, MadeUp, Serving, base64_of, photograph, serving
from vqi.serving.inference.endpoints import HEADER

PLACE = "/v2/models/bracket/infer"
NAMES = ["score", "anomalous", "p_value", "anomaly_map"]


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with serving() as one:
        yield one


def pixels(*values: int, height: int = 4, width: int = 5) -> np.ndarray:
    """(N, height, width, 3), one value for each image."""
    return np.broadcast_to(np.array(values, np.uint8)[:, None, None, None], (len(values), height, width, 3))


def tensor(array: np.ndarray, **changes: Any) -> dict[str, Any]:
    return {"name": "image", "shape": list(array.shape), "datatype": "UINT8", "data": array.tolist()} | changes


def infer(service: Serving, *inputs: dict[str, Any], place: str = PLACE, **more: Any) -> Any:
    return service.client.post(place, content=json.dumps({"inputs": inputs, **more}))


def binary(service: Serving, data: bytes, said: dict[str, Any], **more: Any) -> Any:
    """A request whose tensor comes after the JSON."""
    text = json.dumps({"inputs": [said | {"parameters": {"binary_data_size": len(data)}}], **more}).encode()
    return service.client.post(PLACE, content=text + data, headers={HEADER: str(len(text))})


def elements(*files: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(one)) + one for one in files)


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["outputs"]}


def test_what_it_says_of_itself_and_of_a_model(service: Serving) -> None:
    for path in ("/v2", "/v2/"):
        said = service.client.get(path).json()
        assert (said["name"], said["extensions"]) == ("vqi", ["binary_tensor_data"])
    assert service.client.get("/v2/health/live").json() == {"live": True}
    assert service.client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/bracket", "/v2/models/bracket/versions/7"):
        model = service.client.get(path).json()
        assert (model["name"], model["versions"]) == ("bracket", ["7"])
        assert [one["name"] for one in model["outputs"]] == NAMES
        assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
        assert service.client.get(f"{path}/ready").json() == {"name": "bracket", "ready": True}


@pytest.mark.parametrize("model", ["gear", "bracket/versions/8", "%2e%2e", "bracket/versions/../7", "a/b/c"])
def test_a_model_that_is_not_served(service: Serving, model: str) -> None:
    for answer in (
        service.client.get(f"/v2/models/{model}"),
        service.client.get(f"/v2/models/{model}/ready"),
        infer(service, tensor(pixels(1)), place=f"/v2/models/{model}/infer"),
    ):
        assert answer.status_code == 404
        assert "error" in answer.json()


def test_pixels_in_json(service: Serving) -> None:
    array = pixels(50, 150)
    nested, flat = tensor(array), tensor(array, data=array.ravel().tolist())
    for given_as in (nested, flat):
        answer = infer(service, given_as, id="42")
        found = outputs(answer)
        assert answer.json()["id"] == "42"
        assert (answer.json()["model_name"], answer.json()["model_version"]) == ("bracket", "7")
        assert list(found) == NAMES
        assert found["score"] == {"name": "score", "datatype": "FP32", "shape": [2], "data": [50, 150]}
        assert found["anomalous"] == {"name": "anomalous", "datatype": "BOOL", "shape": [2], "data": [False, True]}
        assert found["p_value"]["data"] == [0.25, 0.25]
        assert (found["anomaly_map"]["shape"], found["anomaly_map"]["data"]) == ([2, 2, 2], [1, 3, 0, 2] * 2)


def test_pixels_as_binary_data_and_binary_outputs(service: Serving) -> None:
    random = np.random.default_rng(0).integers(0, 256, (2, 30, 20, 3)).astype(np.uint8)
    expected = [MadeUp().score(one).score for one in random]
    given_as = {"name": "image", "shape": [2, 30, 20, 3], "datatype": "UINT8"}
    asked = [{"name": "anomalous", "parameters": {"binary_data": True}}, {"name": "score"}]
    answer = binary(service, random.tobytes(), given_as, outputs=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[HEADER])
    first, second = json.loads(answer.content[:length])["outputs"]
    assert first == {"name": "anomalous", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}}
    assert answer.content[length:] == bytes(score > 100 for score in expected)
    assert second["data"] == np.array(expected, np.float32).tolist()


def test_all_outputs_binary_by_one_parameter(service: Serving) -> None:
    answer = infer(service, tensor(pixels(50)), parameters={"binary_data_output": True, "priority": 3})
    length = int(answer.headers[HEADER])
    sizes = [one["parameters"]["binary_data_size"] for one in json.loads(answer.content[:length])["outputs"]]
    assert (sizes, len(answer.content) - length) == ([4, 1, 4, 16], 25)
    np.testing.assert_array_equal(np.frombuffer(answer.content[length + 9 :], "<f4"), [1, 3, 0, 2])


def test_encoded_images(service: Serving) -> None:
    files = [photograph(50), photograph(150, 30, 30, "JPEG")]
    in_json = infer(
        service, {"name": "image", "shape": [2], "datatype": "BYTES", "data": [base64_of(one) for one in files]}
    )
    as_binary = binary(service, elements(*files), {"name": "image", "shape": [2], "datatype": "BYTES"})
    for answer in (in_json, as_binary):
        assert outputs(answer)["score"]["data"] == [50, 150]


ONE = tensor(pixels(1))
BYTES = {"name": "image", "shape": [1], "datatype": "BYTES"}
WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": (b"\x89PNG", "the request is not JSON"),
    "NaN": (b'{"inputs": [NaN]}', "NaN is not JSON"),
    "infinity": (b'{"inputs": [1e999]}', "too large"),
    "a key twice": (b'{"inputs": [], "inputs": []}', "stands twice"),
    "very deep": (b"[" * 100_000, "the request is not JSON"),
    "a list": ([], "the request"),
    "a key that is not known": ({"inputs": [ONE], "extra": 1}, "extra"),
    "no input": ({"inputs": []}, "inputs"),
    "two inputs": ({"inputs": [ONE, ONE]}, "inputs"),
    "another input": ({"inputs": [ONE | {"name": "x"}]}, "inputs.0.name"),
    "another type": ({"inputs": [ONE | {"datatype": "FP32"}]}, "inputs.0.datatype"),
    "a type of lower case": ({"inputs": [ONE | {"datatype": "uint8"}]}, "inputs.0.datatype"),
    "no shape": ({"inputs": [ONE | {"shape": []}]}, "inputs.0.shape"),
    "a negative side": ({"inputs": [ONE | {"shape": [-1, 4, 5, 3]}]}, "inputs.0.shape"),
    "a side of 0": ({"inputs": [ONE | {"shape": [1, 0, 5, 3], "data": []}]}, "inputs.0.shape"),
    "half a side": ({"inputs": [ONE | {"shape": [1, 4.5, 5, 3]}]}, "inputs.0.shape"),
    "a side as text": ({"inputs": [ONE | {"shape": ["1", 4, 5, 3]}]}, "inputs.0.shape"),
    "a huge shape": ({"inputs": [ONE | {"shape": [1, 2**31 - 1, 2**31 - 1, 3], "data": [1]}]}, "expected 13,835,058,"),
    "a side beyond all": ({"inputs": [ONE | {"shape": [1, 2**62, 5, 3]}]}, "inputs.0.shape"),
    "channels first": ({"inputs": [ONE | {"shape": [1, 3, 4, 5]}]}, "expected the shape [N, height, width, 3]"),
    "three sides": ({"inputs": [ONE | {"shape": [4, 5, 3]}]}, "expected the shape [N, height, width, 3]"),
    "too many images": ({"inputs": [ONE | {"shape": [65, 4, 5, 3]}]}, "at most 64 images"),
    "too few values": ({"inputs": [ONE | {"data": [1, 2]}]}, "expected 60 values"),
    "nested otherwise": ({"inputs": [ONE | {"data": [[1] * 60]}]}, "flat or nested as its shape"),
    "lists of several lengths": ({"inputs": [ONE | {"data": [[1, 2], [3]]}]}, "flat or nested as its shape"),
    "fractions": ({"inputs": [ONE | {"data": [0.5] * 60}]}, "whole numbers from 0 to 255"),
    "flags": ({"inputs": [ONE | {"data": [True] * 60}]}, "whole numbers from 0 to 255"),
    "texts": ({"inputs": [ONE | {"data": ["1"] * 60}]}, "whole numbers from 0 to 255"),
    "a number": ({"inputs": [ONE | {"data": 1}]}, "whole numbers from 0 to 255"),
    "an object": ({"inputs": [ONE | {"data": {"a": 1}}]}, "whole numbers from 0 to 255"),
    "beyond a byte": ({"inputs": [ONE | {"data": [256] * 60}]}, "got 256 to 256"),
    "below 0": ({"inputs": [ONE | {"data": [-1] * 60}]}, "got -1 to -1"),
    "no data": ({"inputs": [{**BYTES}]}, "either 'data' or the parameter"),
    "data of both kinds": ({"inputs": [ONE | {"parameters": {"binary_data_size": 0}}]}, "either 'data' or"),
    "binary data that does not come": (
        {"inputs": [BYTES | {"parameters": {"binary_data_size": 9}}]}, "expected 9 bytes after the JSON",
    ),
    "a negative size": ({"inputs": [BYTES | {"parameters": {"binary_data_size": -1}}]}, "binary_data_size"),
    "a flag as size": ({"inputs": [BYTES | {"parameters": {"binary_data_size": True}}]}, "binary_data_size"),
    "encoded images of two sides": ({"inputs": [BYTES | {"shape": [1, 1], "data": ["eA=="]}]}, "the shape [N]"),
    "fewer encoded images": ({"inputs": [BYTES | {"data": []}]}, "expected 1 elements"),
    "no base64": ({"inputs": [BYTES | {"data": ["\u00e9"]}]}, "element 0 is not base64"),
    "a text for a list": ({"inputs": [BYTES | {"data": "eA=="}]}, "a list of image files"),
    "numbers as images": ({"inputs": [BYTES | {"data": [1]}]}, "a list of image files"),
    "an output that is not there": ({"inputs": [ONE], "outputs": [{"name": "x"}]}, "outputs.0.name"),
    "an output twice": ({"inputs": [ONE], "outputs": [{"name": "score"}] * 2}, "expected each once"),
    "classes": (
        {"inputs": [ONE], "outputs": [{"name": "score", "parameters": {"classification": 1}}]}, "classification",
    ),
    "a long id": ({"inputs": [ONE], "id": "x" * 300}, "id"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_follow_the_protocol_is_refused_in_one_line(service: Serving, case: str) -> None:
    content, text = WRONG[case]
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = service.client.post(PLACE, content=body)
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert len(answer.json()["error"]) < 500


@pytest.mark.parametrize("length", ["-1", "x", "", "1e3", "99999", "\u0663", "9" * 30, "0"])
def test_a_length_of_the_json_that_cannot_be(service: Serving, length: str) -> None:
    body = json.dumps({"inputs": [ONE]}).encode()
    answer = service.client.post(PLACE, content=body, headers={HEADER: length.encode()})
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in answer.text or "not JSON" in answer.text


@pytest.mark.parametrize("data", [b"\1", b"\1\0\0\0", b"\xff\xff\xff\xffabc", elements(b"a") + b"\0"])
def test_encoded_images_that_end_too_early(service: Serving, data: bytes) -> None:
    answer = binary(service, data, BYTES)
    assert (answer.status_code, "ends within an element" in answer.text) == (400, True)


def test_an_image_of_several_that_cannot_be_read_is_named(service: Serving) -> None:
    files = [photograph(), b"no image"]
    answer = binary(service, elements(*files), BYTES | {"shape": [2]})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("photograph 1 of 2: not an image")
    large = np.zeros((1, 300, 300, 3), np.uint8)
    answer = binary(service, large.tobytes(), {"name": "image", "shape": [1, 300, 300, 3], "datatype": "UINT8"})
    assert (answer.status_code, "max_pixels" in answer.text) == (413, True)


def test_json_is_bounded_where_binary_data_is_not(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi.serving.inference.inferring.MOST_JSON", 100)
    answer = infer(service, ONE)
    assert (answer.status_code, "send the tensor as binary data" in answer.text) == (400, True)


# any JSON, and such as is nearly a request
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
sides = st.integers(-2, 5) | st.sampled_from([2**31, 2**63, 2**64]) | json_values
data = st.lists(st.integers(-1, 256), min_size=3, max_size=3) | st.lists(st.text("QUJD=", max_size=8)) | json_values
sizes = st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 20) | json_values}) | json_values
near = st.fixed_dictionaries(
    {
        "name": st.just("image") | json_values,
        "shape": st.lists(sides, max_size=5) | st.sampled_from([[1, 1, 1, 3], [1]]) | json_values,
        "datatype": st.sampled_from(["UINT8", "BYTES"]) | json_values,
    },
    optional={"data": data, "parameters": sizes},
)
asked = st.lists(st.fixed_dictionaries({"name": st.sampled_from(NAMES) | json_values}), max_size=3) | json_values
requests = st.fixed_dictionaries(
    {"inputs": st.lists(near, max_size=2) | json_values},
    optional={"id": json_values, "parameters": json_values, "outputs": asked},
)


@settings(max_examples=fuzz_cases(small=150, full=10_000))
@given(request=requests, rest=st.binary(max_size=20), header=st.none() | st.integers(-2, 300), cut=st.integers(0, 40))
def test_no_request_is_an_error_of_the_service(
    service: Serving, request: Any, rest: bytes, header: int | None, cut: int
) -> None:
    text = json.dumps(request).encode()
    body = text + rest
    length = len(text) if header is None and rest else header
    body = body[: len(body) - cut] if cut < 5 else body
    answer = service.client.post(PLACE, content=body, headers={} if length is None else {HEADER: str(length)})
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]


@settings(max_examples=fuzz_cases(small=50, full=2_000))
@given(st.data())
def test_tensors_come_through_as_they_are(service: Serving, data: st.DataObject) -> None:
    n, height, width = (data.draw(st.integers(1, most)) for most in (3, 7, 7))
    array = np.frombuffer(
        data.draw(st.binary(min_size=n * height * width * 3, max_size=n * height * width * 3)), np.uint8
    )
    array = array.reshape(n, height, width, 3)
    if any(MadeUp()._read(one, "", keep=False).decoded.pixels.mean() == BROKEN for one in array):
        return
    expected = np.array([MadeUp().score(one).score for one in array], np.float32).tolist()
    given_as = {"name": "image", "shape": list(array.shape), "datatype": "UINT8"}
    as_binary = binary(service, array.tobytes(), given_as)
    assert outputs(infer(service, tensor(array)))["score"]["data"] == expected
    assert outputs(as_binary)["score"]["data"] == expected
