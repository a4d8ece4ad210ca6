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
LONG = {
    "inputs": PROMPT,
    "temperature": "0.9",
    "max_new_tokens": "8000",
    "other": '{"ignore_eos": true}',
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


def traced(server, tokens, **options):
    parameters = options.pop("parameters", SAMPLED)
    body = {"inputs": PROMPT, "parameters": parameters, "tokens": tokens, **options}
    return server.post("/trace", body).json()


def test_a_token_that_is_pointed_at_shows_what_each_processor_made_of_its_alternatives(
    page, server
):
    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    ids = [event["token"]["id"] for event in events(server)]
    expected = traced(server, ids[:2], alternatives=[ids[2]])
    page.look_at(2)
    assert page.stages() == ["model", "temperature", "top_k"]
    rows = {int(row[1]): row for row in page.alternatives()}
    assert rows.keys() == {alternative["id"] for alternative in expected["alternatives"]}
    for alternative in expected["alternatives"]:
        row = rows[alternative["id"]]
        for cell, logprob in zip(row[2:-1], alternative["logprobs"], strict=True):
            if logprob is None:
                assert cell == "–"
            else:
                assert float(cell.strip("<>%")) == pytest.approx(percent(logprob), rel=0.05)
        chosen = alternative["id"] == ids[2]
        assert row[-1] == ("chosen" if chosen else "removed by top_k" if row[-2] == "–" else "")
    assert len(expected["stages"][-1]["tokens"]) == 4
    last = [float(row[-2].rstrip("%")) for row in page.alternatives()[:4]]
    assert last == sorted(last, reverse=True)
    sizes = [stage["size"] for stage in expected["stages"]]
    assert f"Tokens that are left: {sizes[0]} → top_k 4." in page.text("panel")
    assert page.complaints() == []


def test_the_plot_compares_any_processor_with_what_was_there_before(page, server):
    from selenium.webdriver.support.select import Select

    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    page.look_at(2)

    def marks(kind):
        return len(page.driver.find_elements("css selector", f"#panel svg {kind}"))

    rows = len(page.alternatives())
    assert (marks("rect"), marks("circle")) == (4, rows)
    select = Select(page.element("compared"))
    names = [option.text for option in select.options]
    assert names == ["all processors", "temperature", "top_k"]
    select.select_by_visible_text("temperature")
    assert (marks("rect"), marks("circle")) == (rows, rows)
    page.look_at(3)
    assert Select(page.element("compared")).first_selected_option.text == "temperature"


def test_each_token_is_asked_about_once_and_the_generation_too(page, server):
    def counted(path):
        return server.metric(f'sampler_requests_total{{path="{path}",status="200"}}')

    streams, traces = counted("/generate_stream"), counted("/trace")
    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    page.traced(11)
    for index in (0, 1, 0, 1, 11):
        page.look_at(index)
    assert page.alternatives()
    assert counted("/trace") == traces + 3
    until(lambda: counted("/generate_stream") == streams + 1)


def test_who_passes_over_many_tokens_asks_about_the_last(page, server):
    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    page.traced(11)
    asked = page.script(
        """
        const real = window.fetch;
        const asked = [];
        window.fetch = (path, options) => {
          if (path === "trace") asked.push(JSON.parse(options.body).tokens.length);
          return real(path, options);
        };
        for (const token of [...document.querySelectorAll("#tokens > *")].slice(0, 6)) {
          token.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        }
        await new Promise((done) => setTimeout(done, 600));
        return asked;
        """
    )
    assert asked == [5]
    page.traced(5)


def test_a_trace_that_fails_is_told_and_asked_for_again(page):
    page.open(inputs=PROMPT, **STATE)
    page.press("generate")
    page.finish()
    page.traced(11)
    page.script(
        """
        const real = window.fetch;
        const refusal = JSON.stringify({ error: "no room", error_type: "overloaded" });
        window.fetch = (path, options) => {
          if (path !== "trace") return real(path, options);
          window.fetch = real;
          return Promise.resolve(new Response(refusal, { status: 429 }));
        };
        """
    )
    page.look_at(1)
    assert page.text("panel").endswith("There are no alternatives to show: 429: no room")
    assert page.driver.find_element("css selector", "#panel [role=alert]")
    page.look_at(1)
    page.wait(lambda: page.alternatives())


def test_what_the_grammar_forbids_is_explained(page):
    page.open(inputs=PROMPT, grammar_type="regex", grammar="[0-9]{3}", max_new_tokens="9")
    page.press("generate")
    page.finish()
    assert "the grammar is complete" in page.text("status")
    page.tokens[1].click()
    page.traced(1)
    before = page.tokens[0].get_attribute("textContent")
    rows = page.alternatives()
    reasons = [row[-1] for row in rows if row[-1].startswith("forbidden: ")]
    assert reasons
    for reason in reasons:
        assert f"after `{before}`" in reason or "special" in reason
        assert reason.endswith("; expected: a digit")
    assert page.stages() == ["model", "mask", "greedy"]
    assert all(row[0].isdigit() for row in rows if row[3] != "–")


def test_tokens_of_a_cancelled_generation_can_be_looked_at(page, server):
    page.open(**LONG)
    page.press("generate")
    page.wait(lambda: len(page.tokens) > 5)
    page.press("cancel")
    page.finish()
    page.look_at(4)
    assert page.stages() == ["model", "temperature"]
    assert "chosen" in [row[-1] for row in page.alternatives()]


def test_tokens_can_be_looked_at_while_more_are_to_come(page, server):
    page.open(**LONG)
    page.press("generate")
    page.wait(lambda: len(page.tokens) > 5)
    page.look_at(4)
    assert page.element("tokens").get_attribute("aria-busy") == "true"
    assert page.alternatives()
    seen = len(page.tokens)
    page.wait(lambda: len(page.tokens) > seen)
    assert page.text("panel").startswith("Token 5:")
    page.press("cancel")
    page.finish()


def test_the_number_of_alternatives_is_the_one_that_is_typed(page, server):
    page.open(inputs=PROMPT, max_new_tokens="2", temperature="0.5", top_n="3")
    page.press("generate")
    page.finish()
    page.look_at(0)
    assert len(page.alternatives()) in (3, 4)
    page.fill(top_n="0")
    page.press("generate")
    page.finish()
    page.look_at(0)
    assert "`top_n` must be > 0 and <= 20" in page.text("panel")


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


def test_a_wide_table_scrolls_by_itself_and_not_the_page(page):
    page.driver.set_window_size(500, 1000)
    edits = {"repetition_penalty": "1.2", "frequency_penalty": "0.1", "presence_penalty": "0.4"}
    page.open(inputs=PROMPT, **STATE, top_p="0.9", min_p="0.01", watermark="1", **edits)
    page.press("generate")
    page.finish()
    page.look_at(2)
    wide, inner = page.script(
        """
        const over = (part) => part.scrollWidth - part.clientWidth;
        return [over(document.documentElement), over(document.querySelector("#panel .scroll"))];
        """
    )
    page.driver.set_window_size(1320, 1000)
    assert wide <= 0 < inner


def test_a_long_token_leaves_room_for_what_becomes_of_it(page):
    page.driver.set_window_size(500, 1000)
    over, name, shown = page.script(
        """
        const { showStep } = await import("./page/panel.js");
        const text = "a".repeat(300);
        const stages = ["model", "top_k"].map((name) => ({ name, size: 1 }));
        const fate = { logprobs: [-1, -2], removed_by: null, reason: null };
        const one = { id: 5, text, special: false, ...fate };
        const panel = document.getElementById("panel");
        showStep(panel, { index: 1, token: one }, { trace: { stages, alternatives: [one] } });
        const root = document.documentElement;
        const width = (part) => part.getBoundingClientRect().width;
        return [root.scrollWidth - root.clientWidth, width(panel.querySelector("tbody th")),
          width(panel.querySelector(".scroll"))];
        """
    )
    page.driver.set_window_size(1320, 1000)
    assert over <= 0
    assert name < shown / 2


def test_what_cannot_be_seen_of_a_token_is_spelled_out(page):
    hidden = "\u202ea b\u200b\x1b\n\u2028\U000e0041é\u0301"
    shown = page.script(
        "return (await import('./page/text.js')).visible(given[0])",
        hidden,
    )
    assert shown == "⟨202E⟩a␣b⟨200B⟩⟨001B⟩⏎⟨2028⟩⟨E0041⟩é\u0301"


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
