"""Headless Chromium with the page of a server in it."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from scripted_models import PATIENCE

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
SIZE = ("--window-size=1320,1000",)

PROMPT = "The state of our union"
SAMPLED = {"temperature": 0.8, "top_k": 4, "seed": 7, "max_new_tokens": 12}
STATE = {name: str(value) for name, value in SAMPLED.items()}
LONG = {
    "inputs": PROMPT,
    "temperature": "0.9",
    "max_new_tokens": "8000",
    "other": '{"ignore_eos": true}',
}


@contextmanager
def chromium() -> Iterator:
    """A Selenium driver; skips the test where there is no browser to drive."""
    webdriver = pytest.importorskip("selenium.webdriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if browser is None or service is None:
        pytest.skip("needs Chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, *SIZE):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    driver.set_page_load_timeout(PATIENCE)
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The page of the server at `port`, as somebody in front of it has it."""

    def __init__(self, driver, port: int) -> None:
        self.driver = driver
        self.home = f"http://127.0.0.1:{port}/"

    def open(self, **state: str) -> "Page":
        """Loads it anew, with this state in its address."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(f"{self.home}#{urlencode(state)}" if state else self.home)
        self.wait(lambda: self.text("model"))
        return self

    def element(self, identifier: str):
        return self.driver.find_element("id", identifier)

    def text(self, identifier: str) -> str:
        return self.element(identifier).text

    def field(self, name: str):
        return self.driver.find_element("css selector", f'#request [name="{name}"]')

    def unfold(self) -> None:
        """Opens what is folded."""
        self.script("document.querySelectorAll('details').forEach((part) => { part.open = true })")

    def fill(self, **values: str) -> None:
        self.unfold()
        for name, value in values.items():
            self.field(name).clear()
            self.field(name).send_keys(value)

    def press(self, identifier: str) -> None:
        self.element(identifier).click()

    @property
    def tokens(self) -> list:
        return self.driver.find_elements("css selector", "#tokens > [role=option]")

    def script(self, code: str, *arguments):
        """What an asynchronous function with this body returns."""
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"(async (...given) => {{{code}}})(...arguments)"
            ".then((value) => done({value}), (error) => done({error: String(error)}))",
            *arguments,
        )
        assert "error" not in found, found
        return found.get("value")

    def wait(self, holds) -> None:
        """Returns when `holds()`; fails the test when that takes too long."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"waited in vain; status: {self.text('status')}"
            time.sleep(0.02)

    def finish(self) -> None:
        """Waits for the last token."""
        self.wait(lambda: self.element("cancel").get_attribute("disabled"))

    def look_at(self, index: int) -> None:
        """Points at a token and waits for what is said of it."""
        self.script(
            "document.querySelectorAll('#tokens > *')[given[0]]"
            ".dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))",
            index,
        )
        self.traced(index)

    def traced(self, index: int) -> None:
        """Waits for what is said of the token at `index`."""
        begins = f"Token {index + 1}:"
        self.wait(
            lambda: (
                self.text("panel").startswith(begins)
                and self.element("panel").get_attribute("aria-busy") == "false"
            )
        )

    def complaints(self) -> list[str]:
        """What the browser has to say against the page, since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def stages(self) -> list[str]:
        """The processors that the table has columns for."""
        heads = self.driver.find_elements("css selector", "#panel thead th")
        return [head.get_attribute("textContent") for head in heads][2:-1]

    def alternatives(self) -> list[list[str]]:
        """The texts of the table, row by row: token, id, each stage, fate."""
        return self.driver.execute_script(
            "document.querySelectorAll('#panel td .hidden').forEach((said) => said.remove());"
            "return [...document.querySelectorAll('#panel tbody tr')]"
            ".map((row) => [...row.children].map((cell) => cell.textContent))"
        )


def events(server, **parameters):
    """What the server streams for the prompt, sampled."""
    body = {"inputs": PROMPT, "parameters": {"details": True, **SAMPLED, **parameters}}
    return server.post("/generate_stream", body).events()


def idle(server) -> bool:
    """Whether nothing is being generated."""
    return server.metric("sampler_running_rows") == 0
