"""A page whose pictures are files beside it."""

from __future__ import annotations

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tests.browser import Browser
from vqi.pages.folder import write_folder
from vqi.pages.maps import data_uris


def test_each_picture_is_a_file_once(tmp_path: Path) -> None:
    black, white = data_uris([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], 1 << 20)
    page = (
        "<meta content=\"default-src 'none'; img-src data:\"><p>data:image/jpeg;base64,AAAA in words</p>"
        f'<img src="{black}" alt="a"><img src="{white}" alt="b"><img src="{black}" alt="c">'
    )
    write_folder(tmp_path / "page", page)
    text = (tmp_path / "page" / "index.html").read_text()
    assert re.findall(r'src="([^"]*)"', text) == ["pictures/000.jpg", "pictures/001.jpg", "pictures/000.jpg"]
    assert "default-src 'none'; img-src 'self'" in text
    assert "data:image/jpeg;base64,AAAA in words" in text
    files = sorted((tmp_path / "page" / "pictures").iterdir())
    assert [one.name for one in files] == ["000.jpg", "001.jpg"]
    assert all(one.read_bytes().startswith(b"\xff\xd8\xff") for one in files)


def test_a_page_without_pictures_replaces_one_that_had_some(tmp_path: Path) -> None:
    (picture,) = data_uris([np.zeros((8, 8, 3), np.uint8)], 1 << 20)
    write_folder(tmp_path / "page", f'<img src="{picture}">')
    write_folder(tmp_path / "page", "<p>none</p>")
    assert [one.name for one in (tmp_path / "page").rglob("*.jpg")] == []
    assert (tmp_path / "page" / "index.html").read_text() == "<p>none</p>"


class AsArgo(SimpleHTTPRequestHandler):
    """A file as Argo's server sends artifacts."""

    def end_headers(self) -> None:
        policy = "sandbox; base-uri 'none'; default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'"
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_browser_shows_the_pictures_under_the_policy_of_argos_server(tmp_path: Path) -> None:
    pictures = data_uris([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], 1 << 20)
    page = "<!DOCTYPE html><meta charset=utf-8>" + "".join(f'<img src="{one}" alt="">' for one in pictures)
    (tmp_path / "whole.html").write_text(page)
    write_folder(tmp_path / "page", page)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(AsArgo, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Browser(tmp_path / "profile") as browser:
            whole, beside = (
                browser.pictures(f"http://127.0.0.1:{server.server_port}/{name}")
                for name in ("whole.html", "page/index.html")
            )
        server.shutdown()
    assert (whole, beside) == ((2, 0), (2, 2)), "there, and shown"
