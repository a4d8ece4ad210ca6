"""The page at ``GET /`` as it is served.

`test_server_page_browser` and `test_server_page_alternatives` see what it does.
"""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from scripted_models import byte_vocabulary, hash_model, request
from server_client import JSON, running
from starlette.applications import Starlette
from starlette.routing import Mount

from sampler import Generator
from sampler.server import create_app
from sampler.server.assets import PageRoutes

PAGE = Path(__file__).parents[2] / "sampler" / "server" / "page"
NAMES = sorted(path.name for path in PAGE.iterdir())
IMPORT = re.compile(r'from "\./([^"]+)"')


class Elements(HTMLParser):
    """Notes all elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture
def elements(serve):
    return Elements(serve().get("/").body.decode()).found


def test_the_page_is_at_the_path_that_also_generates(serve):
    client = serve()
    page = client.get("/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body == (PAGE / "index.html").read_bytes()
    (answer,) = client.post("/", request("the", max_new_tokens=2)).json()
    assert answer.keys() == {"generated_text"}
    assert client.ask("HEAD", "/").body == b""
    refused = client.ask("DELETE", "/")
    assert refused.status == 405
    assert {name.strip() for name in refused.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_every_file_is_served_with_its_type_and_nothing_else(serve):
    client = serve()
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/"}
    assert len(PageRoutes().types) == len(NAMES)
    for name in NAMES:
        answer = client.get("/" if name == "index.html" else f"/page/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kinds[Path(name).suffix])
        assert answer.body == (PAGE / name).read_bytes()
    for path in ("/page/", "/page/index.html", "/page/../app.py", "/page/%2e%2e/app.py"):
        assert client.get(path).status == 404


def test_what_the_page_may_load_is_its_own(serve):
    headers = serve().get("/").headers
    policy = dict(part.split(maxsplit=1) for part in headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) <= {"'self'", "'none'"}
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {policy[n] for n in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_no_file_names_another_host():
    for name in NAMES:
        text = (PAGE / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, name
        assert not re.search(r"""["'(=]//""", text), name


def test_references_lead_to_files_and_every_file_is_referred_to(elements):
    used = {attributes.get("href", attributes.get("src")) for tag, attributes in elements}
    seen, queue = set(), [path for path in used if path and path.startswith("page/")]
    while queue:
        path = queue.pop()
        seen.add(path)
        text = (PAGE.parent / path).read_text()
        queue += {f"page/{name}" for name in IMPORT.findall(text)} - seen
    assert seen == {f"page/{name}" for name in NAMES} - {"page/index.html"}


def test_nothing_stands_in_the_page_that_its_policy_forbids(elements):
    for tag, attributes in elements:
        assert tag != "style"
        assert tag != "script" or "src" in attributes
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_a_server_with_a_token_gives_everybody_the_page_and_nothing_more(serve):
    client = serve(api_key="secret")
    for path in PageRoutes().types:
        assert client.get(path).status == 200
        assert client.ask("HEAD", path).status == 200
    assert client.post("/", request("the", max_new_tokens=2)).status == 401
    assert client.get("/info").status == 401
    assert client.get("/page/other.js").status == 401
    allowed = {**JSON, "authorization": "Bearer secret"}
    assert client.post("/", request("the", max_new_tokens=2), allowed).status == 200


def test_a_page_that_is_mounted_elsewhere_finds_its_files():
    with Generator(hash_model, byte_vocabulary()) as generator:
        app = create_app(generator, api_key="secret")
        outer = Starlette(routes=[Mount("/engine", app)])
        outer.state.service = app.state.service
        with running(outer) as client:
            assert client.get("/engine/").body == (PAGE / "index.html").read_bytes()
            assert client.get("/engine/page/main.js").body == (PAGE / "main.js").read_bytes()
            assert client.get("/engine/info").status == 401
            assert client.get("/").status == 404


def test_references_are_relative(elements):
    for _, attributes in elements:
        for name in ("href", "src"):
            assert not attributes.get(name, "").startswith("/")


def test_another_host_name_gets_no_page(serve):
    client = serve(allowed_hosts=["localhost"])
    assert client.get("/", {"host": "evil.example"}).status == 403
    assert client.get("/", {"host": "localhost"}).status == 200
