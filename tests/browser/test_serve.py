"""The served report in a real browser: items at full size, decisions on disk at once, several windows and reviewers."""

import json
import time

import pytest
from conftest import Page, violations
from selenium.webdriver.support.ui import WebDriverWait
from served import audit_with_pictures, serving

SIZE = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}


class Window:
    """A window of the browser with the served page. Names of reviewers are kept by the window's own page."""

    def __init__(self, page, handle, address):
        self.page, self.handle, self.address = page, handle, address

    def front(self):
        self.page.driver.switch_to.window(self.handle)
        self.page.driver.execute_cdp_cmd("Page.bringToFront", {})  # a window behind others asks the server nothing
        return self.page

    def open(self):
        page = self.front()
        still = [{"name": "prefers-reduced-motion", "value": "reduce"}]  # smooth scrolling would swallow the first keys
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": still})
        page.driver.get(self.address)
        page.run("history.scrollRestoration='manual';document.getElementById('review').scrollIntoView()")
        return self.wait("return document.querySelector('.rv-saved').textContent.startsWith('Saved')")

    def name(self, name):
        script = (
            "const n=document.querySelector('.rv-name input');n.value=arguments[0];"
            "n.dispatchEvent(new Event('input'));n.dispatchEvent(new Event('change'))"
        )
        self.front().run(script, name)
        return self.wait("return document.querySelector('.rv-saved').textContent.includes(arguments[0])", name)

    def wait(self, script, *values):
        page = self.front()
        WebDriverWait(page.driver, 20, poll_frequency=0.05).until(lambda _: page.run(script, *values))
        return self

    def saved(self, n):
        """Wait until the page shows `n` decisions and the server has them."""
        return self.wait(
            "return document.querySelector('.rv-tally').textContent.startsWith(arguments[0])"
            "&& document.querySelector('.rv-saved').textContent.startsWith('Saved')",
            f"{n} of",
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    result, out = audit_with_pictures(tmp_path_factory.mktemp("audit"), n=20, edge=600)
    with serving(out) as server:
        yield result, out, server


@pytest.fixture
def windows(browser, served):
    driver, downloads = browser
    _, out, server = served
    for path in (out / "decisions").glob("*.json"):
        name = json.loads(path.read_text())["reviewer"]
        held = server.ask(f"decisions?reviewer={name}").document["decisions"]
        back = [{**entry, "decision": None, "new_label": None} for entry in held]
        server.ask("decisions", {"audit": served[0].audit_id, "reviewer": name, "changes": back})
    page = Page(driver, out, downloads)
    first = driver.current_window_handle
    driver.get(server.address)
    driver.execute_script("localStorage.clear()")
    driver.get_log("browser")
    driver.switch_to.new_window("tab")
    second = driver.current_window_handle
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
    one, two = (Window(page, handle, server.address) for handle in (first, second))
    one.front()
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
    yield one.open(), two
    driver.switch_to.window(second)
    driver.close()
    driver.switch_to.window(first)


def kept(out, name):
    return [d["decision"] for d in json.loads((out / "decisions" / name).read_text())["decisions"]]


def test_each_decision_is_on_disk_at_once_and_undo_takes_it_back(windows, served):
    _, out, _ = served
    one = windows[0]
    one.front().keys("kdu")
    one.saved(3)
    assert kept(out, "unnamed.json") == ["keep", "drop", "unsure"]
    one.front().keys("z")
    one.saved(2)
    assert kept(out, "unnamed.json") == ["keep", "drop"]
    one.open().saved(2)  # a reload finds them, and the way back
    one.front().keys("z")
    one.saved(1)
    assert kept(out, "unnamed.json") == ["keep"]
    assert one.front().errors() == []


def test_who_gives_a_name_takes_the_decisions_along(windows, served):
    _, out, _ = served
    one = windows[0]
    one.front().keys("kk")
    one.saved(2).name("ann").saved(2)
    assert kept(out, "ann.json") == ["keep", "keep"]
    WebDriverWait(one.page.driver, 20).until(lambda _: kept(out, "unnamed.json") == [])
    one.front().keys("z")
    one.saved(1)
    assert kept(out, "ann.json") == ["keep"]


def test_two_windows_of_one_reviewer_go_on_where_the_other_is(windows, served):
    _, out, _ = served
    one, two = windows
    one.name("ann").front().keys("kk")
    one.saved(2)
    two.open().saved(2)
    assert "Suspect 3 of 20" in two.front().text(".rv-card")
    two.front().keys("d")
    two.saved(3)
    one.saved(3)
    assert kept(out, "ann.json") == ["keep", "keep", "drop"]


def test_reviewers_see_each_others_answers_after_their_own(windows, served):
    _, out, _ = served
    one, two = windows
    one.name("ann").front().keys("kkd")
    one.saved(3)
    two.open().name("bo").front().keys("d")
    two.saved(1)
    two.front().run("document.querySelector('[data-item=\"0\"] .rv-open').click()")
    two.wait("return document.querySelector('.rv-others')?.innerText==='ann: kept'")
    two.front().run("document.querySelector('[data-item=\"1\"] .rv-open').click()")
    assert two.front().count(".rv-others") == 0  # bo has not answered yet
    two.front().keys("k")
    two.saved(2).wait("return document.querySelector('.rv-agreement').innerText.includes('on 1 of 2')")
    assert "You agree with ann on 1 of 2 (Cohen's kappa 0.33)." in two.front().text(".rv-agreement")
    two.front().click(".rv-agreement button")
    assert two.front().text(".rv-count") == "1 of 20 suspects" and "Suspect 1 of 20" in two.front().text(".rv-card")
    assert (kept(out, "ann.json"), kept(out, "bo.json")) == (["keep", "keep", "drop"], ["drop", "keep"])


def test_the_card_shows_the_whole_picture_and_enlarges_it(windows):
    one = windows[0]
    script = "const i=document.querySelector('.rv-picture img');return i.naturalWidth+'x'+i.naturalHeight"
    one.wait(f"return (()=>{{{script}}})()==='700x600'")
    page = one.front()
    page.keys("f")
    one.wait("return document.querySelector('.rv-zoom').open && document.querySelector('.rv-stage img').complete")
    assert page.text(".rv-zoom-bar > span") == "700 × 600 pixels"
    width = page.run("return document.querySelector('.rv-stage img').getBoundingClientRect().width")
    page.keys("++")
    assert page.run("return document.querySelector('.rv-stage img').getBoundingClientRect().width") == pytest.approx(
        2 * width, rel=0.05
    )
    page.keys("k")  # decides about what is enlarged
    one.saved(1)
    assert not page.run("return document.querySelector('.rv-zoom').open")
    page.click(".rv-picture img")
    assert page.run("return document.querySelector('.rv-zoom').open")
    page.keys("f")
    assert page.errors() == []


def test_no_serious_violation_on_the_served_page_and_enlarged(windows, node_tools):
    page = windows[0].front()
    page.keys("kd")
    windows[0].saved(2)
    assert violations(page, node_tools) == []
    page.keys("f")
    assert violations(page, node_tools) == []


def test_what_has_changed_is_said_beside_the_small_picture(windows, served):
    result, out, _ = served
    file = out.parent / "data" / result.ranking["path"][0]
    before = file.read_bytes()
    try:
        file.write_bytes(before + b" ")
        one = windows[0]
        one.page.driver.execute_cdp_cmd("Network.enable", {})
        one.page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        one.open().wait("return document.querySelector('.rv-lacks')!==null")
        assert "has changed since the audit" in one.front().text(".rv-lacks")
        assert one.front().run("return document.querySelector('.rv-picture img').src").startswith("data:")
    finally:
        file.write_bytes(before)


def test_a_server_that_is_gone_is_said_and_nothing_is_lost(browser, tmp_path):
    driver, downloads = browser
    _, out = audit_with_pictures(tmp_path, n=6, edge=8)
    with serving(out) as server:
        one = Window(Page(driver, out, downloads), driver.current_window_handle, server.address).open()
        one.front().keys("k")
        one.saved(1)
        assert server.stop() == 0
    one.front().keys("d")
    one.wait("return document.querySelector('.rv-saved').textContent.includes('1 decision waits in this page')")
    assert "does not answer" in one.front().text(".rv-saved")
    document = json.loads(one.front().export().read_text())
    assert [d["decision"] for d in document["decisions"]] == ["keep", "drop"]  # export has what waits, too
    one.front().run("window.onbeforeunload=null")
    time.sleep(0.1)
    driver.get("about:blank")
    alert_accepted(driver)


def alert_accepted(driver):
    """The page asks before it is left with decisions that wait."""
    from selenium.common.exceptions import NoAlertPresentException

    try:
        driver.switch_to.alert.accept()
    except NoAlertPresentException:
        return


@pytest.mark.slow
def test_fifty_thousand_items_are_served(browser, tmp_path):
    driver, downloads = browser
    _, out = audit_with_pictures(tmp_path, n=50_000, classes=10, thumbnails=500, examples=50, with_files=20)
    with serving(out) as server:
        page = Page(driver, out, downloads)
        one = Window(page, driver.current_window_handle, server.address)
        page.errors()  # those of the test before
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        opened = []
        for _ in range(3):  # others may be at work on this machine
            one.open()
            opened.append(page.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert 0 < min(opened) < 2000
        assert page.run("return document.querySelector('.rv-picture img').naturalWidth") == 800
        kept_at, took = out / "decisions/unnamed.json", []
        for n in range(1, 11):
            start = time.monotonic()
            page.keys("k")
            while not (kept_at.exists() and len(kept(out, "unnamed.json")) == n):
                assert time.monotonic() - start < 20
            took.append(time.monotonic() - start)
        assert sorted(took)[5] < 1  # others may be at work on this machine
        assert page.errors() == []
