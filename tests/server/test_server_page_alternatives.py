"""What the page shows of one token: its alternatives, and what each processor made of them."""

import math

import pytest
from browser import LONG, PROMPT, SAMPLED, STATE, events
from server_client import until


def percent(logprob: float) -> float:
    return math.exp(logprob) * 100


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
