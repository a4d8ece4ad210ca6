"""The page in headless Chromium, from ``sampler serve``: what a person sees, types and hears."""

import math
import re

import pytest
from browser import LONG, PROMPT, STATE, Page, events, idle
from server_client import until
from server_command import serving


def test_what_is_typed_is_generated_and_coloured_by_probability(page, server):
    page.fill(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    expected = events(server)
    assert [token.get_attribute("textContent") for token in page.tokens] == [
        event["token"]["text"] for event in expected
    ]
    doubts = page.script(
        "return [...document.querySelectorAll('#tokens > *')]"
        ".map((token) => Number(token.style.getPropertyValue('--doubt')))"
    )
    assert doubts == pytest.approx([1 - math.exp(e["token"]["logprob"]) for e in expected])
    assert page.element("text").get_attribute("textContent") == expected[-1]["generated_text"]
    assert "12 tokens" in page.text("status")
    assert "seed 7" in page.text("status")
    assert page.complaints() == []


def test_tokens_are_shown_while_more_are_to_come_until_cancel_is_pressed(page, server):
    page.open(**LONG)
    page.press("generate")
    page.wait(lambda: len(page.tokens) > 3)
    seen = len(page.tokens)
    page.wait(lambda: len(page.tokens) > seen)
    assert page.element("tokens").get_attribute("aria-busy") == "true"
    page.press("cancel")
    page.finish()
    assert page.text("status") == f"Cancelled after {len(page.tokens)} tokens."
    assert page.element("error").get_attribute("hidden")
    until(lambda: idle(server))
    assert page.complaints() == []


def test_the_servers_message_is_shown_and_the_fields_it_names_are_marked(page, server):
    page.fill(inputs=PROMPT, temperature="-1", frequency_penalty="much", seed=str(2**64))
    page.press("generate")
    page.wait(lambda: page.text("error"))
    wrong = {"temperature": -1, "frequency_penalty": "much", "seed": 2**64}
    refused = server.post("/generate_stream", {"inputs": PROMPT, "parameters": wrong}).json()
    assert page.text("error") == f"400 {refused['error_type']}: {refused['error']}"
    assert page.element("error").get_attribute("role") == "alert"
    marked = page.driver.find_elements("css selector", "[aria-invalid=true]")
    assert {field.get_attribute("name") for field in marked} == set(wrong)
    page.fill(temperature="1", frequency_penalty="0", seed="18446744073709551615")
    page.fill(max_new_tokens="2")
    page.press("generate")
    page.finish()
    assert not page.driver.find_elements("css selector", "[aria-invalid=true]")
    assert page.element("error").get_attribute("hidden")


@pytest.mark.parametrize("other", ["{", "[1]", "null"])
def test_parameters_that_are_no_json_object_are_not_sent(page, other):
    page.fill(inputs=PROMPT, other=other)
    page.press("generate")
    page.wait(lambda: page.text("error"))
    assert "`other` parameters must be" in page.text("error")
    assert page.field("other").get_attribute("aria-invalid") == "true"


def test_events_are_read_however_they_are_cut_and_errors_among_them_are_thrown(page):
    told = page.script(
        """
        const { eventsOf } = await import("/page/stream.js");
        const bytes = new TextEncoder().encode(given[0]);
        const body = new ReadableStream({
          start(controller) {
            for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
            controller.close();
          },
        });
        const told = [];
        try {
          for await (const event of eventsOf(new Response(body))) told.push(event.token.text);
        } catch (error) {
          told.push(error.name, error.message, error.kind ?? null);
        }
        return told;
        """,
        ':\n\ndata: {"token":{"text":"é"},"generated_text":null}\n\n'
        'data: {"error":"no room","error_type":"generation"}\n\n',
    )
    assert told == ["é", "Error", "no room", "generation"]


def test_a_stream_without_its_last_token_is_an_error(page):
    told = page.script(
        """
        const { eventsOf } = await import("/page/stream.js");
        try {
          for await (const event of eventsOf(new Response(":\\n\\n"))) throw event;
        } catch (error) {
          return error.message;
        }
        """
    )
    assert told == "the stream ended before its last token"


def test_a_server_that_goes_away_is_an_error_and_keeps_what_came(driver):
    with serving() as (process, client):
        page = Page(driver, client.port).open(**LONG)
        page.press("generate")
        page.wait(lambda: len(page.tokens) > 3)
        process.kill()
        page.wait(lambda: page.text("error"))
        page.finish()
        assert page.text("status") == f"Failed after {len(page.tokens)} tokens."


def test_the_address_has_the_whole_form_but_the_bearer_token(page):
    typed = {"inputs": "Wörds & <tags>\n2 + 2 = 100%", "top_p": "0.5", "grammar": "a|b"}
    page.fill(**typed, stop="one", other='{"logit_bias": {"5": 1}}', token="a secret")
    page.field("watermark").click()
    page.wait(lambda: "watermark=1" in page.driver.current_url)
    address = page.driver.current_url
    assert "secret" not in address
    page.open()
    assert page.field("inputs").get_attribute("value") == ""
    page.driver.get(address)
    page.wait(lambda: page.field("inputs").get_attribute("value"))
    for name, value in typed.items():
        assert page.field(name).get_attribute("value") == value
    assert page.field("watermark").is_selected()
    assert page.field("token").get_attribute("value") == ""
    assert page.text("status") == "Nothing has been generated yet."


def test_a_drawn_seed_can_be_kept_and_draws_the_same_again(page):
    page.open(inputs=PROMPT, do_sample="1", max_new_tokens="20")
    page.press("generate")
    page.finish()
    first = page.element("text").get_attribute("textContent")
    page.press("keep-seed")
    seed = page.field("seed").get_attribute("value")
    assert f"seed {seed}" in page.text("status")
    assert f"seed={seed}" in page.driver.current_url
    page.press("generate")
    page.finish()
    assert page.element("text").get_attribute("textContent") == first


def test_the_keyboard_alone_does_everything(page, server):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys):
        ActionChains(page.driver).send_keys(*keys).perform()

    def focused():
        return page.driver.switch_to.active_element

    page.open(**LONG)
    page.script("document.body.focus()")
    reached = []
    for _ in range(7):
        press(Keys.TAB)
        reached.append(focused().get_attribute("id") or focused().get_attribute("name"))
    assert reached[-3:] == ["inputs", "generate", "share"]
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(
        Keys.CONTROL
    ).perform()
    page.wait(lambda: len(page.tokens) > 3)
    page.script("document.getElementById('cancel').focus()")
    press(Keys.ESCAPE)
    page.finish()
    assert focused().get_attribute("id") == "generate"
    page.script("document.getElementById('tokens').focus()")
    press(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    active = page.element("tokens").get_attribute("aria-activedescendant")
    assert active == "token-1"
    assert page.element(active).get_attribute("aria-selected") == "true"
    assert page.text("panel").startswith("Token 2:")
    press(Keys.END)
    assert page.text("panel").startswith(f"Token {len(page.tokens)}:")
    until(lambda: idle(server))


def test_a_screen_reader_is_told_what_everything_is(page):
    page.open(inputs=PROMPT, **STATE)
    page.unfold()
    fields = page.driver.find_elements("css selector", "input, textarea, select, button, summary")
    assert len(fields) > 20
    names = [field.accessible_name for field in fields if field.is_displayed()]
    assert all(names)
    assert len(set(names)) == len(names)
    page.press("generate")
    page.finish()
    assert page.element("status").aria_role == "status"
    assert page.element("tokens").aria_role == "listbox"
    assert page.element("tokens").accessible_name == "Generated tokens"
    for token in page.tokens:
        assert token.aria_role == "option"
        assert re.search(r"\S, [<>]?[0-9.]+%$", token.accessible_name)
    page.tokens[0].click()
    page.traced(0)
    assert page.driver.find_element("css selector", "#panel svg").accessible_name
    assert page.element("compared").accessible_name == "Before and after"
    gone = page.driver.find_element("css selector", "#panel td .hidden")
    assert gone.get_attribute("textContent") == "not left"
    columns = page.driver.find_elements("css selector", "#panel thead th")
    assert all(column.accessible_name for column in columns)
    headings = page.driver.find_elements("css selector", "h1, h2")
    assert [h.text for h in headings] == ["token-sampler", "Request", "Tokens", "Alternatives"]
    assert page.driver.find_element("css selector", "html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(page, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    shown = page.script(CONTRASTS)
    assert (shown["page"] > 0.5) == (scheme == "light")
    assert len(shown["contrasts"]) == 6
    for name, contrast in shown["contrasts"].items():
        assert contrast >= 4.5, (name, contrast)


CONTRASTS = """
const painted = (colour) => {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (name) => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(name);
  const linear = painted(colour.trim()).map((value) => value / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const pairs = [["--text", "--page"], ["--text", "--surface"], ["--quiet", "--surface"],
  ["--text", "--doubtful"], ["--on-accent", "--accent"], ["--error", "--error-surface"]];
const contrasts = {};
for (const [front, back] of pairs) {
  const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b);
  contrasts[`${front} on ${back}`] = (high + 0.05) / (low + 0.05);
}
return { page: luminance("--page"), contrasts };
"""


def test_a_server_with_a_token_is_used_with_the_token(driver):
    with serving("--api-key", "secret") as (_, client):
        page = Page(driver, client.port).open(inputs=PROMPT, max_new_tokens="3")
        assert "bearer token" in page.text("model")
        page.press("generate")
        page.wait(lambda: page.text("error"))
        assert "401" in page.text("error")
        page.fill(token="secret")
        page.press("generate")
        page.finish()
        assert len(page.tokens) == 3
        assert page.text("model").startswith("demo-ngram")
