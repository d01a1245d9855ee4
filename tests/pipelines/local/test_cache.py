"""What a step's cached result depends on."""

from pathlib import Path

from vqi_pipelines.local import cache


def test_code_digest_follows_imports_only() -> None:
    fit = cache.code_digest(("python", "-m", "vqi_components.pca_fit"))
    assert fit == cache.code_digest(("python", "-m", "vqi_components.pca_fit"))
    assert fit != cache.code_digest(("python", "-m", "vqi_components.evaluate"))
    found: dict[str, Path] = {}
    cache._collect("vqi_components.pca_fit.__main__", found)
    assert {"vqi", "vqi.detectors.pca", "vqi_components.step", "vqi.config"} <= set(found)
    assert not {"vqi.pages.report", "vqi.pages.templates"} & set(found)
    cache._collect("vqi_components.evaluate.__main__", found)
    assert {"vqi.pages.report", "vqi.pages.templates"} <= set(found), "a changed template is a changed report"
    assert cache.code_digest(("sh", "-c", "x")) == ""


def test_files_beside_a_package_count(tmp_path: Path) -> None:
    module = tmp_path / "__init__.py"
    module.write_text("")
    template = tmp_path / "page.html.j2"
    template.write_text("a")
    before = cache._source_digest(module)
    template.write_text("b")
    assert cache._source_digest(module) != before
