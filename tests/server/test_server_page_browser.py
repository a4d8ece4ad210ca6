"""The page in headless Chromium, from ``sampler serve``: what a person sees, types and hears."""

import math
import re
import threading

import pytest
from browser import Page, chromium
from server_client import until
from server_command import serving

PROMPT = "The state of our union"
SAMPLED = {"temperature": 0.8, "top_k": 4, "seed": 7, "max_new_tokens": 12}
STATE = {name: str(value) for name, value in SAMPLED.items()}
LONG = {"inputs": PROMPT, "temperature": "0.9", "max_new_tokens": "8000", "compare": "0"}
LONG["min_new_tokens"] = LONG["max_new_tokens"]
FATES = {
    # parameters, tokens before, tokens after, limit -> the fate of token 1
    "kept": ({"top_k": 1}, [0, 1], [1], 2, "kept", []),
    "by the grammar alone": ({"grammar": {}}, [0, 1], [0], 2, "forbidden", ["grammar"]),
    "above one that was kept": (
        {"grammar": {}, "top_p": 0.5},
        [1, 0],
        [0],
        2,
        "forbidden",
        ["grammar"],
    ),
    "edits move ranks": (
        {"grammar": {}, "top_p": 0.5, "presence_penalty": 1},
        [1, 0],
        [0],
        2,
        "either",
        ["grammar", "top_p"],
    ),
    "typical_p goes not by rank": ({"typical_p": 0.5}, [1, 0], [0], 2, "truncated", ["typical_p"]),
    "beyond k": ({"top_k": 1, "top_p": 0.5}, [0, 1], [0], 2, "truncated", ["top_k"]),
    "within k": ({"top_k": 2, "top_p": 0.5}, [0, 1], [0], 2, "truncated", ["top_p"]),
    "greedy truncates nothing": (
        {"temperature": 0, "top_k": 1, "grammar": {}},
        [0, 1],
        [0],
        2,
        "forbidden",
        ["grammar"],
    ),
    "both of them": (
        {"top_k": 1, "grammar": {}},
        [0, 1],
        [0],
        2,
        "either",
        ["grammar", "top_k"],
    ),
    "not listed": ({"top_k": 9}, [0, 1], [0, 2], 2, "unlisted", []),
}


@pytest.fixture(scope="module")
def driver():
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def server(driver):
    with serving() as (process, client):
        # a log that nobody reads holds the server up when the pipe is full
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        yield client
        process.kill()
        reader.join()


@pytest.fixture
def page(driver, server):
    return Page(driver, server.port).open()


def events(server, **parameters):
    body = {"inputs": PROMPT, "parameters": {"details": True, **SAMPLED, **parameters}}
    return server.post("/generate_stream", body).events()


def idle(server) -> bool:
    return server.metric("sampler_running_rows") == 0


def percent(logprob: float) -> float:
    return math.exp(logprob) * 100


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


def test_a_token_that_is_pointed_at_shows_its_alternatives_before_and_after(page, server):
    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    after = events(server, top_n_tokens=10)[2]
    before = events(server, top_n_tokens=10, logprobs="raw")[2]
    page.script(
        "document.querySelectorAll('#tokens > *')[2]"
        ".dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    )
    rows = {int(row[1]): row for row in page.alternatives()}
    assert len(after["top_tokens"]) == 4
    for token in after["top_tokens"]:
        assert float(rows[token["id"]][3].rstrip("%")) == pytest.approx(
            percent(token["logprob"]), rel=0.05
        )
    for token in before["top_tokens"]:
        assert float(rows[token["id"]][2].rstrip("%")) == pytest.approx(
            percent(token["logprob"]), rel=0.05
        )
    kept = {token["id"] for token in after["top_tokens"]}
    assert {token_id for token_id, row in rows.items() if "removed: top_k" in row[4]} == (
        {token["id"] for token in before["top_tokens"]} - kept
    )
    assert rows[after["token"]["id"]][4] == "chosen"
    marks = page.driver.find_elements("css selector", "#panel svg rect, #panel svg circle")
    assert len(marks) == len(after["top_tokens"]) + len(before["top_tokens"])


def test_what_the_grammar_forbids_is_named(page):
    page.open(inputs=PROMPT, grammar_type="regex", grammar="[0-9]{3}", max_new_tokens="9")
    page.press("generate")
    page.finish()
    assert "the grammar is complete" in page.text("status")
    page.tokens[0].click()
    fates = [row[4] for row in page.alternatives()]
    assert "forbidden: grammar" in fates
    kept = [row[0] for row in page.alternatives() if row[4] in ("", "chosen")]
    assert all(text.isdigit() for text in kept)


@pytest.mark.parametrize("case", FATES.values(), ids=FATES)
def test_the_fate_of_an_alternative_follows_from_both_lists(page, case):
    parameters, before, after, limit, fate, by = case
    found = page.script(
        """
        const [parameters, before, after, limit] = given;
        const module = await import("/page/alternatives.js");
        const texts = Object.entries(parameters).map(([k, v]) => [k, JSON.stringify(v)]);
        const tokens = (ids) =>
          ids.map((id, place) => ({ id, text: "x", special: false, logprob: -1 - place }));
        const step = { index: 1, token: tokens(after)[0], limit, ownLogprob: -3,
                       before: tokens(before), after: tokens(after) };
        return module.alternatives(step, module.processingOf(new Map(texts)));
        """,
        parameters,
        before,
        after,
        limit,
    )
    (row,) = [row for row in found if row["id"] == 1]
    assert (row["fate"], row["by"]) == (fate, by)


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
    page.field("compare").click()
    page.wait(lambda: "compare=0" in page.driver.current_url)
    address = page.driver.current_url
    assert "secret" not in address
    page.open()
    assert page.field("inputs").get_attribute("value") == ""
    page.driver.get(address)
    page.wait(lambda: page.field("inputs").get_attribute("value"))
    for name, value in typed.items():
        assert page.field(name).get_attribute("value") == value
    assert page.field("watermark").is_selected()
    assert not page.field("compare").is_selected()
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
    assert page.driver.find_element("css selector", "#panel svg").accessible_name
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


def test_without_comparison_there_is_one_request_and_one_column(page, server):
    page.open(inputs=PROMPT, **STATE, compare="0")
    counted = 'sampler_requests_total{path="/generate_stream",status="200"}'
    known = server.metric(counted)
    page.press("generate")
    page.finish()
    page.tokens[0].click()
    assert {len(row) for row in page.alternatives()} == {4}
    until(lambda: server.metric(counted) > known)
    assert server.metric(counted) == known + 1


def test_without_room_for_the_comparison_the_tokens_come_all_the_same(page):
    page.open(inputs=PROMPT, **STATE)
    page.script(
        """
        const real = window.fetch;
        const refusal = JSON.stringify({ error: "no room", error_type: "overloaded" });
        window.fetch = (path, options) => options.body?.includes('"logprobs"')
          ? Promise.resolve(new Response(refusal, { status: 429 })) : real(path, options);
        """
    )
    page.press("generate")
    page.finish()
    assert len(page.tokens) == 12
    assert page.text("status").startswith("Done: 12 tokens")
    assert page.text("status").endswith("own probabilities: no room")
    assert page.element("error").get_attribute("hidden")
    page.tokens[0].click()
    assert {len(row) for row in page.alternatives()} == {4}


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
