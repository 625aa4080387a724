"""The page in a real browser: what is dragged, typed and read; at a desk and on a telephone.

Every page costs a second of a core: what is most asked for runs by default, the rest is slow.
"""

import re
import threading

import pytest

import odemom
from scripts.browser import AtOnce, browser, missing, serving

if missing():
    pytest.skip(missing(), allow_module_level=True)

DESK = {"width": 1360, "height": 900}
PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def server():
    with serving() as found:
        yield found


@pytest.fixture
def visit(chromium, server):
    """Open the page as a new visitor; nothing may go wrong in it, or come from elsewhere."""
    visitors, wrong = [], []

    def open_page(question="", size=None):
        visitor = chromium.new_context(viewport=size or DESK)
        visitors.append(visitor)
        page = visitor.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.on(
            "request",
            lambda sent: None if sent.url.startswith(server.url) else wrong.append(sent.url),
        )
        page.goto(server.url + question)
        page.wait_for_selector("#verdict:not(.waiting)")
        return page

    yield open_page
    for visitor in visitors:
        visitor.close()
    assert wrong == []


def about(page, eps):
    """Wait until the answer is that for a mass."""
    page.wait_for_function(
        "e => document.querySelector('#about').textContent.startsWith(e)", arg=eps
    )


def entry(page, i, j):
    return page.get_by_label(f"row {i}, column {j}", exact=True)


def verdict(page):
    return page.inner_text("#word").lower()


def test_the_slider_of_eps_is_dragged_and_the_decision_is_that_of_the_library(visit):
    page = visit()
    assert verdict(page) == "no"
    box = page.locator("#eps-slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.43 * box["width"], middle)
    page.mouse.down()
    seen = set()
    for share in (0.5, 0.55, 0.7, 0.9, 0.999):
        page.mouse.move(box["x"] + share * box["width"], middle)
        eps = page.input_value("#eps")
        about(page, f"ε = {'∞' if eps == 'inf' else ''}")
        page.wait_for_timeout(60)
        page.wait_for_function("() => settled()")
        eps = page.input_value("#eps")
        expected = odemom.is_representable([["-3/4", 0], [0, "1/2"]], eps)
        assert verdict(page) == ("yes" if expected else "no"), eps
        threshold = odemom.lambda_eps(eps)
        assert f"{threshold:.6g}".replace("-", "−") in page.inner_text("#about")
        seen.add(verdict(page))
    page.mouse.up()
    assert seen == {"yes", "no"}
    assert page.input_value("#eps") == "inf"
    assert page.input_value("#gamma") == "1"


@pytest.mark.slow
def test_gamma_moves_eps(visit):
    page = visit()
    page.fill("#gamma", "9/10")
    about(page, "ε = 10,")
    assert page.input_value("#eps") == "10"
    assert verdict(page) == "yes"
    page.fill("#eps", "1/4")
    about(page, "ε = 1/4,")
    assert page.input_value("#gamma") == ""


def test_an_entry_is_typed_exactly(visit):
    page = visit("#eps=1/2&D=-3/4,0;0,1/2")
    entry(page, 2, 2).fill("-3/4")
    page.wait_for_selector("#verdict.yes")
    assert "2 Jordan blocks, each of size 1" in page.inner_text("#facts")
    page.wait_for_function("() => settled()")
    theta = [[float(t.replace("−", "-")) for t in row.split()] for row in table(page)]
    assert abs(odemom.psi(theta, 0.5) - [[-0.75, 0], [0, -0.75]]).max() < 1e-3
    entry(page, 1, 2).fill("1e-30")
    page.wait_for_selector("#verdict.no")  # exact: no double is as near to 0 beside 3/4
    assert "1.71384" in page.inner_text("#facts")


def pressed(page, row, column):
    """Where the mouse has its button down: in the middle of an entry."""
    box = entry(page, row, column).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    return x, y


def table(page):
    return [row.inner_text() for row in page.locator("#witness tr").all()]


@pytest.mark.slow
def test_an_entry_is_dragged(visit):
    page = visit("#eps=2&D=1,0;0,1")
    x, y = pressed(page, 2, 2)
    page.mouse.move(x - 100, y, steps=4)
    page.wait_for_function("() => document.querySelector('#entries').lastChild.value === '0'")
    page.mouse.move(x - 200, y, steps=4)
    page.mouse.up()
    page.wait_for_selector("#verdict.no")
    assert entry(page, 2, 2).input_value() == "-1"


@pytest.mark.slow
def test_a_dot_of_figure_4_is_dragged_onto_the_diagonal(visit):
    page = visit("#eps=1/2&D=-2,0;0,1")
    page.wait_for_function("() => settled()")
    box = page.locator("#plane svg").bounding_box()
    scale = box["width"] / 360
    left, top, right, bottom = map(float, page.get_attribute("#plane svg", "data-box").split())

    def at(mu1, mu2):
        u = left + (mu1 + 3) / 6 * (right - left)
        return box["x"] + scale * u, box["y"] + scale * (bottom - (mu2 + 3) / 6 * (bottom - top))

    page.mouse.move(*at(-2, 1))
    page.mouse.down()
    page.mouse.move(*at(-1.5, 0), steps=3)
    page.mouse.move(*at(-1, -1), steps=3)
    page.mouse.up()
    page.wait_for_selector("#verdict.yes")
    assert [entry(page, k, k).input_value() for k in (1, 2)] == ["-1", "-1"]


@pytest.mark.slow
def test_an_eigenvalue_is_moved_by_its_slider(visit):
    page = visit("#eps=1&D=0,-1;1,0")
    sliders = page.locator("#eigenvalues input")
    assert sliders.count() == 2
    sliders.nth(0).fill("-2")
    page.wait_for_function("() => document.querySelector('#why').textContent.includes('2 x 2')")
    page.wait_for_function("() => settled()")
    assert page.input_value("#entries > :first-child") == "-2"
    assert verdict(page) == "yes"
    assert "−2 ± 1i" in page.inner_text("#facts")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [("x", "row 1, column 1: got 'x'"), ("1e999999999", "an exponent of at most 30")],
)
def test_bad_input_gets_a_sentence_and_the_page_goes_on(visit, text, words):
    page = visit()
    entry(page, 1, 1).fill(text)
    page.wait_for_selector("#error:not([hidden])")
    assert words in page.inner_text("#error")
    assert "wrong" in entry(page, 1, 1).get_attribute("class")
    entry(page, 1, 1).fill("1")
    page.wait_for_selector("#verdict.yes")
    assert page.is_hidden("#error")


@pytest.mark.slow
def test_markup_in_a_field_stays_text(visit):
    page = visit("#eps=<img src=x onerror=alert(1)>&D=<b>1</b>")
    page.wait_for_selector("#error:not([hidden])")
    assert page.locator("#error *").count() == 0
    assert page.locator("b, img").count() == 0


def test_a_second_visitor_does_not_see_the_matrix_of_the_first(visit):
    first = visit()
    entry(first, 1, 1).fill("-7/5")
    first.wait_for_function("() => document.querySelector('#why').textContent.includes('−7/5')")
    second = visit()
    assert entry(second, 1, 1).input_value() == "-3/4"
    assert "7/5" not in second.content()
    second.fill("#eps", "7")
    about(second, "ε = 7,")
    assert first.input_value("#eps") == "1/2"
    assert "7/5" in first.inner_text("#why")
    assert "D=-7%2F5,0;0,1%2F2" in first.url  # its own address brings it back
    assert entry(visit(first.url.partition("/#")[2].join(["#", ""])), 1, 1).input_value() == "-7/5"


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_the_verdict_is_in_sight(visit, size, scheme):
    page = visit("#eps=1/2&D=-2,1,0,0;0,-2,0,0;0,0,-2,1;0,0,0,-2", size)
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("() => settled()")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if size is DESK:
        for box in page.locator(".scroll").all():
            assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    top = page.locator("#verdict").bounding_box()["y"]
    assert 0 <= top < 100
    for text in page.locator("svg text").all()[:6]:
        assert text.bounding_box()["height"] > 8
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", dark)[0])
    assert (red < 60) is (scheme == "dark")


@pytest.mark.slow
def test_the_preset_and_the_dimension(visit):
    page = visit()
    page.select_option("#preset", label="two blocks J₂(−2)")
    page.wait_for_function("() => document.querySelector('#why').textContent.includes('4 x 4')")
    page.select_option("#dimension", "3")
    page.wait_for_function("() => document.querySelector('#why').textContent.includes('3 x 3')")
    assert page.locator("#entries input").count() == 9


@pytest.mark.slow
def test_an_address_that_is_pasted_is_the_whole_question(visit):
    page = visit("#gamma=1/2&D=1,0;0,1&N=3&floats")
    about(page, "ε = 2,")
    page.evaluate("location.hash = '#D=-1'")
    page.wait_for_function("() => document.querySelector('#why').textContent.includes('1 x 1')")
    page.wait_for_function("() => settled()")
    assert page.input_value("#eps") == "1/2"
    assert page.input_value("#layers") == "12"
    assert not page.is_checked("#floats")
    assert "floats" not in page.url
    page.evaluate("location.hash = '#gamma=1/2&D=1'")
    about(page, "ε = 2,")
    page.evaluate("location.hash = '#N=99'")
    page.wait_for_selector("#error:not([hidden])")
    assert (page.input_value("#eps"), page.input_value("#gamma")) == ("1/2", "")
    page.evaluate("location.hash = '#gamma=2'")
    page.wait_for_function("() => document.querySelector('#error').textContent.includes('gamma')")
    assert (page.input_value("#eps"), page.input_value("#gamma")) == ("", "2")


@pytest.mark.slow
def test_a_button_that_was_let_go_elsewhere_drags_no_more(visit):
    page = visit("#eps=2&D=1,0;0,1")
    x, y = pressed(page, 2, 2)
    page.mouse.move(x, y + 200)
    page.mouse.up()
    page.mouse.move(x, y, steps=3)
    page.mouse.move(x + 20, y, steps=5)
    assert entry(page, 2, 2).input_value() == "1"


@pytest.mark.slow
def test_a_slider_of_older_eigenvalues_brings_their_matrix_back(visit):
    page = visit("#eps=2&D=1,0;0,1")
    entry(page, 1, 1).fill("x")
    page.wait_for_selector("#error:not([hidden])")
    page.select_option("#dimension", "3")
    page.locator("#eigenvalues input").first.fill("-2")
    page.wait_for_function("() => document.querySelector('#why').textContent.includes('−2')")
    assert page.locator("#entries input").count() == 4


class NoPaths(AtOnce):
    """A desk at which the second part of an answer takes too long, for 7 and nothing else."""

    def __init__(self):
        super().__init__()
        self.seen = threading.Event()

    def ask(self, part, fields):
        if part == "motion" and fields["matrix"] == [["7"]]:
            self.seen.wait(60)
            return '{"error": "It took <too> long."}'
        return super().ask(part, fields)


@pytest.mark.slow
def test_where_there_is_no_second_part_no_older_one_stands_in_its_place(chromium):
    desk = NoPaths()
    with serving(desk) as server:
        page = chromium.new_page()
        page.goto(f"{server.url}#eps=2&D=5")
        page.wait_for_function("() => document.querySelector('#line').innerHTML")
        entry(page, 1, 1).fill("7")
        page.wait_for_selector("#witness.older")
        desk.seen.set()
        page.wait_for_function("() => document.querySelector('#why').textContent.includes('1 x 1')")
        page.wait_for_function("() => document.querySelector('#facts').textContent.includes('7')")
        page.wait_for_function("() => settled()")
        assert page.inner_text("#witness") == "It took <too> long."
        assert page.locator(".older").count() == 0
        assert [page.inner_html(f"#{name}") for name in ("line", "paths", "net")] == [""] * 3
        assert page.inner_text("#net-caption") == ""
        entry(page, 1, 1).fill("7x")  # no question: what stands there goes pale, and stays
        page.wait_for_selector("#error:not([hidden])")
        entry(page, 1, 1).fill("5")
        page.wait_for_selector("#witness td")
        page.close()
