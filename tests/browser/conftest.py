"""A headless Chromium, and axe-core and ESLint from npm in a cache outside the project."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from auditor.result import AuditResult

HERE = Path(__file__).parent
# Read before the tests' private caches are set up, so that each machine downloads once, not each run.
CACHE = Path(os.environ.get("AUDITOR_NODE_CACHE") or Path.home() / ".cache" / "auditor-tests")


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Page:
    """An open report: what a reviewer does with it, and what they see."""

    def __init__(self, driver: Any, path: Path, downloads: Path) -> None:
        self.driver, self.path, self.downloads = driver, path, downloads

    def open(self, width: int = 1440, dark: bool = False, fresh: bool = True) -> Page:
        """Load the page; `fresh` forgets what the browser stored for it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # smooth scrolling would swallow the first keys
        ]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        if fresh:
            self.driver.execute_cdp_cmd(
                "Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "local_storage"}
            )
        self.driver.get(self.path.as_uri())
        # A busy browser goes back to the earlier place after the page was scrolled to the review.
        self.run("history.scrollRestoration = 'manual'; document.getElementById('review').scrollIntoView()")
        return self

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector)).replace("\n", " ")

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def keys(self, keys: str) -> None:
        """Type keys as a reviewer does, to whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(keys).perform()

    def choose(self, label: str, value: str) -> None:
        """Set one of the filters."""
        found = self.run(
            "const l=[...document.querySelectorAll('.rv-filters label')].find(l=>l.innerText.startsWith(arguments[0]));"
            "const f=l.querySelector('input,select');"
            "const o=[...(f.options??[])].find(o=>o.text===arguments[1]);f.value=o?o.value:arguments[1];"
            "f.dispatchEvent(new Event(f.tagName==='SELECT'?'change':'input'));return f.value",
            label,
            value,
        )
        assert found is not None

    def decisions(self) -> list[dict[str, Any]]:
        """The decisions as the browser keeps them, in the words of an export."""
        found: list[dict[str, Any]] = self.run(
            "const data=JSON.parse(document.getElementById('audit-data').textContent);"
            "return Decisions.store(data,localStorage,()=>{}).toDocument().decisions"
        )
        return found

    def export(self) -> Path:
        """Press the export button and wait for the file."""
        from selenium.webdriver.support.ui import WebDriverWait

        target = self.downloads / "decisions.json"
        target.unlink(missing_ok=True)
        self.click("#rv-export")
        WebDriverWait(self.driver, 20).until(lambda _: target.exists() and target.stat().st_size > 0)
        return target

    def errors(self) -> list[str]:
        """What the browser complained about: broken scripts, refused requests, violations of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A headless Chromium and its folder for downloads; skips where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no chromium with chromedriver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    downloads = tmp_path_factory.mktemp("downloads")
    options = Options()
    options.binary_location = chromium
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
    ):
        options.add_argument(word)
    options.add_experimental_option(
        "prefs",
        {
            "download.default_directory": str(downloads),
            "profile.default_content_setting_values.automatic_downloads": 1,
        },
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield driver, downloads
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def rendered() -> Callable[..., str]:
    """The report of a result, rendered once for all tests that look at it."""
    pages: dict[str, str] = {}

    from auditor.report import render

    def once(result: AuditResult, **arguments: Any) -> str:
        shown = [hash(result.ranking.to_csv()), hash(json.dumps(result.evidence))]
        key = json.dumps([result.summary, arguments, shown], default=repr)
        if key not in pages:
            pages[key] = render(result, **arguments)
        return pages[key]

    return once


@pytest.fixture
def page(browser: tuple[Any, Path], rendered: Callable[..., str], tmp_path: Path) -> Callable[..., Page]:
    """`page(result)` writes the result's report; `.open()` it."""
    driver, downloads = browser
    with contextlib.suppress(Exception):
        driver.get_log("browser")

    def make(result: AuditResult, **arguments: Any) -> Page:
        path = tmp_path / "report.html"
        path.write_text(rendered(result, **arguments), encoding="utf-8")
        return Page(driver, path, downloads)

    return make


@pytest.fixture(scope="session")
def node_tools() -> Path:
    """The folder `node_modules` with axe-core and ESLint, installed once into a cache; skips where npm cannot."""
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    installed = CACHE / "package.json"
    modules = CACHE / "node_modules"
    if modules.is_dir() and installed.is_file() and installed.read_text(encoding="utf-8") == wanted:
        return modules
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("no npm to install axe-core and ESLint with")
    CACHE.mkdir(parents=True, exist_ok=True)
    installed.unlink(missing_ok=True)
    shutil.copy(HERE / "package.json", CACHE / "package.json.new")
    (CACHE / "package.json.new").replace(installed)
    command = [
        npm,
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--prefix",
        str(CACHE),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=180, cwd=CACHE)
    except (OSError, subprocess.SubprocessError) as error:
        installed.unlink(missing_ok=True)
        pytest.skip(f"npm could not install axe-core and ESLint: {error}")
    return modules


def violations(report: Page, node_tools: Path) -> list[Any]:
    """Violations as (rule, impact, elements) of a page, with any dialog that is open.

    What axe leaves to the eye counts too, but for the contrast of text on a gradient, in a figure or of single signs.
    Its colours are those of `test_accessibility.test_texts_stand_out_where_axe_cannot_tell`.
    """
    report.run((node_tools / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    report.driver.set_script_timeout(60)
    found = report.driver.execute_async_script(
        "const done=arguments[1];const of=v=>[v.id,v.impact,v.nodes.slice(0,3).map(n=>n.html.slice(0,160))];"
        "axe.run(document,{runOnly:{type:'tag',values:arguments[0]},resultTypes:['violations','incomplete']})"
        ".then(r=>done([...r.violations,...r.incomplete.filter(v=>v.id!=='color-contrast')].map(of)),e=>done([[String(e),'critical',[]]]))",
        TAGS,
    )
    return [v for v in found if v[1] in ("serious", "critical", "moderate")]
