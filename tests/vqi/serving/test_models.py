"""What is served, and how a new version takes its place: between two requests, or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.vqi.models.packages import package
from tests.vqi.serving.made import MadeUp, Serving, photograph, serving
from vqi.errors import UnavailableError, VqiError
from vqi.models.registry import publish, version_at
from vqi.serving.finding import places_of
from vqi.serving.models import Change, Models
from vqi.serving.refusals import RefusedError
from vqi.store.opening import open_store


class Place:
    """A category whose version is set by a test, and what loads it."""

    def __init__(self) -> None:
        self.version, self.away = 1, ""
        self.broken: dict[int, Exception] = {}
        self.loaded: list[int] = []

    def find(self, uri: str) -> str:
        if self.away:
            raise UnavailableError(self.away)
        return f"{uri}/v{self.version}"

    def load(self, uri: str) -> MadeUp:
        version = int(uri.rpartition("v")[2])
        self.loaded.append(version)
        if version in self.broken:
            raise self.broken[version]
        return MadeUp(version)

    def models(self) -> Models:
        return Models({"bracket": "parts/bracket"}, self.load, self.find)


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    place = Place()
    (served,) = place.models()
    assert served.refresh() is Change.NONE
    place.version = 2
    assert served.refresh() is Change.SWAPPED
    assert (served.now.version, served.note) == (2, "")
    place.version = 1  # a rollback
    assert served.refresh() is Change.SWAPPED
    assert (served.now.version, place.loaded) == (1, [1, 2, 1])


@pytest.mark.parametrize("error", [VqiError("a file is damaged"), RuntimeError("of a library")])
def test_one_that_does_not_load_is_tried_once_and_the_old_one_is_kept(error: Exception) -> None:
    place = Place()
    (served,) = place.models()
    place.version, place.broken[2] = 2, error
    assert served.refresh() is Change.FAILED
    assert served.now.version == 1
    assert served.note.startswith("version 1 is kept: parts/bracket/v2 does not load: ")
    assert str(error) in served.note
    place.away = "the store does not respond"
    assert served.refresh() is Change.AWAY
    assert served.note == "version 1 is kept: no look for another one: the store does not respond"
    place.away = ""
    assert served.refresh() is Change.NONE
    assert "parts/bracket/v2 does not load" in served.note
    assert place.loaded == [1, 2]
    place.version = 3
    assert served.refresh() is Change.SWAPPED
    assert (served.now.version, served.note) == (3, "")


def test_a_look_that_fails_otherwise_does_not_end_the_looks(capsys: pytest.CaptureFixture[str]) -> None:
    place = Place()
    (served,) = place.models()

    def find(_: str) -> str:
        raise RuntimeError("of a library")

    served._find = find
    assert served.refresh() is Change.AWAY
    assert served.note.endswith("no look for another one: RuntimeError: of a library")
    assert "Traceback" in capsys.readouterr().err
    served._find, place.version = place.find, 2
    assert served.refresh() is Change.SWAPPED


def test_one_that_loads_and_cannot_score_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    (served,) = place.models()

    def score(self: MadeUp, *_: object, **__: object) -> None:
        raise VqiError("the model's files do not belong together")

    monkeypatch.setattr(MadeUp, "score", score)
    place.version = 2
    assert served.refresh() is Change.FAILED
    assert served.now.version == 1
    with pytest.raises(VqiError, match="do not belong together"):
        place.models()


def test_a_store_that_goes_away_while_a_version_is_fetched_is_tried_again() -> None:
    place = Place()
    (served,) = place.models()
    place.version, place.broken[2] = 2, UnavailableError("the store does not respond")
    assert served.refresh() is Change.AWAY
    del place.broken[2]
    assert served.refresh() is Change.SWAPPED


def test_at_the_start_a_model_that_is_not_there_is_an_error() -> None:
    place = Place()
    place.away = "the store does not respond"
    with pytest.raises(VqiError, match="does not respond"):
        place.models()
    with pytest.raises(VqiError, match="no models to serve"):
        Models({}, place.load, place.find)


def test_models_by_name() -> None:
    place = Place()
    models = Models({"a": "x", "b": "y"}, place.load, place.find)
    assert models.named("b").place == "y"
    for name, status in (("", 400), ("c", 404), ("../a", 404), ("a" * 10_000, 404)):
        with pytest.raises(RefusedError) as refused:
            models.named(name)
        assert refused.value.status == status
        assert len(refused.value.text) < 300
    assert models.named("a").at("1").version == models.named("a").at(None).version == 1
    with pytest.raises(RefusedError, match="version '2' of 'a' is not served"):
        models.named("a").at("2")


def served_version(service: Serving) -> int:
    return service.client.post("/score", content=photograph()).json()["version"]


def test_a_request_that_was_begun_ends_with_the_version_it_began_with() -> None:
    place = Place()
    with serving() as service:
        (served,) = service.app.state.service.models
        served._load, served._find = place.load, place.find
        place.version = 9
        service.scorer.gate.clear()
        versions: list[int] = []
        thread = threading.Thread(target=lambda: versions.append(served_version(service)))
        thread.start()
        service.scorer.entered.acquire()
        service.client.portal.call(service.app.state.service.refresh)  # the old one is in use meanwhile
        assert served_version(service) == 9
        service.scorer.gate.set()
        thread.join()
        assert versions == [7]
        assert service.metric('vqi_model_version{model="bracket"}') == 9
        assert service.metric('vqi_reloads_total{model="bracket",outcome="swapped"}') == 1
        place.away = "the store does not respond"
        for _ in range(2):
            service.client.portal.call(service.app.state.service.refresh)
        ready = service.client.get("/readyz")  # it is ready, and says what is wrong
        assert ready.status_code == 200
        assert "does not respond" in ready.json()["models"]["bracket"]["note"]
        assert service.metric('vqi_reloads_total{model="bracket",outcome="away"}') == 2
        place.away = ""
        service.client.portal.call(service.app.state.service.refresh)
        events = [(line["event"], line["version"]) for line in service.lines if line["event"] != "request"]
        assert events == [("model swapped", 9), ("model kept", 9), ("model current", 9)]  # said once each


def test_it_looks_by_itself_while_it_runs() -> None:
    looked = threading.Event()

    with serving(reload=0.01) as service:
        (served,) = service.app.state.service.models
        served._find = lambda uri: (looked.set(), uri)[1]
        assert looked.wait(60)


# ----------------------------------------------------------------------------------------------------- what is named


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Three categories of two datasets, one with two versions; and what is no model."""
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
    store = open_store(f"s3://serving-tests/{tmp_path.name}" if request.param == "s3" else f"file://{tmp_path}/store")
    for number, (dataset, category) in enumerate(
        [("parts", "bracket"), ("parts", "bracket"), ("parts", "v1"), ("cells", "mono/a")], start=1
    ):
        publish(store, **package(tmp_path / "packages", number, category, dataset))
    store.put_bytes("models/parts/unborn/v1/reserved.json", b"{}")
    store.put_bytes("datasets/x/manifest.json", b"{}")
    return store.uri


def test_what_a_name_stands_for(store: str, tmp_path: Path) -> None:
    parts = f"{store}/models/parts"
    everything = {"bracket": f"{parts}/bracket", "v1": f"{parts}/v1", "mono/a": f"{store}/models/cells/mono%2Fa"}
    assert places_of([store]) == everything
    assert places_of([f"{store}/"]) == everything
    assert places_of([f"{store}/models"]) == everything
    assert places_of([parts]) == {"bracket": f"{parts}/bracket", "v1": f"{parts}/v1"}
    assert places_of([f"{parts}/bracket"]) == {"bracket": f"{parts}/bracket"}
    assert places_of([f"{parts}/bracket/v1"]) == {"bracket": f"{parts}/bracket/v1"}
    assert places_of([f"{parts}/v1", parts]) == {"bracket": f"{parts}/bracket", "v1": f"{parts}/v1"}  # twice is once
    assert version_at(places_of([parts])["bracket"]).endswith("/bracket/v2")


def test_two_models_of_one_name_are_refused(store: str) -> None:
    bracket = f"{store}/models/parts/bracket"
    with pytest.raises(VqiError, match=r"two models are called 'bracket': .*/v1 and .*/v2: serve them by two"):
        places_of([f"{bracket}/v1", f"{bracket}/v2"])


def test_where_no_model_is(store: str, tmp_path: Path) -> None:
    for place in (f"{store}/models/parts/unborn", f"{store}/datasets", str(tmp_path / "nowhere")):
        with pytest.raises(VqiError, match=r"no model at .*expected a version, a category, or a store"):
            places_of([place])
