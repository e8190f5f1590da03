"""The page as people have it: a real server, a real browser, files that are edited on the disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import SkillsRoot, skill_text, wait_for
from .serving import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

pytest.importorskip("fastapi", reason="needs the extra: pip install 'skills-refresh[serve]'")
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")

expect = playwright.expect
# What is edited must be on the page this soon.
A_SECOND = 1_000
PATIENCE = 10_000
# A browser says so itself when a server is away or asks for a token; that is no fault of the page.
EXPECTED = "Failed to load resource"

# Writes into the page how many rows of the list were touched since.
COUNT_TOUCHED_ROWS = """() => {
    const touched = new Set();
    new MutationObserver((records) => {
        for (const { target, addedNodes, removedNodes } of records) {
            for (const node of [target, ...addedNodes, ...removedNodes]) {
                const row = (node instanceof Element ? node : node.parentElement)?.closest(".skill") ?? null;
                if (row !== null) touched.add(row);
            }
        }
        document.body.dataset.touched = touched.size;
    }).observe(document.getElementById("skill-list"), {
        attributes: true, characterData: true, childList: true, subtree: true,
    });
}"""

Open = Callable[..., "Page"]
Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    # Its own sandbox cannot be had by root, nor in most containers.
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers, which are there until the test has closed its pages."""
    with ExitStack() as stack:
        yield lambda *arguments, **environment: stack.enter_context(Server(*arguments, environment=environment))


@pytest.fixture
def open_page(browser: Browser, serve: Serve) -> Iterator[Open]:
    """Opens a URL in a tab of its own. At the end, no tab may have asked another host, or have had an error."""
    faults: list[str] = []
    contexts = []

    def watch(page: Page, url: str, expected: str | None) -> None:
        origin = "/".join(url.split("/")[:3]) + "/"

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not (expected and message.text.startswith(expected)):
                faults.append(message.text)

        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(origin) else faults.append(request.url))

    def open_it(url: str, expected: str | None = None, **options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]  # each test names options that there are
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        watch(page, url, expected)
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def skill_names(page: Page) -> list[str]:
    return page.locator(".skill:visible .name").all_inner_texts()


def expect_live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("Live", timeout=PATIENCE)


def test_the_page_shows_skills_and_what_there_is_to_know_of_one(
    skills_root: SkillsRoot, serve: Serve, open_page: Open
) -> None:
    skills_root.add("pdf", description="Reads PDF files.", body="Run it.\n", files={"scripts/run.py": "print()\n"})
    skills_root.add("csv", description="Tidies CSV files.")
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect_live(page)
    assert skill_names(page) == ["csv", "pdf"]
    row = page.locator(".skill", has_text="Reads PDF files.")
    expect(row.locator(".place")).to_contain_text(f"{skills_root.path}/pdf/SKILL.md")
    expect(row.locator(".place")).to_contain_text("2 files")
    row.locator("summary").click()
    expect(row.locator("pre")).to_have_text("Run it.\n")
    expect(row.locator(".files")).to_contain_text("scripts/run.py")
    expect(page.locator("#no-problems")).to_be_visible()
    assert page.title() == "2 skills"
    page.get_by_role("button", name="Rescan").click()
    expect(page.get_by_role("button", name="Rescanned")).to_be_visible()


def test_an_edit_shows_within_a_second_and_without_a_reload(
    skills_root: SkillsRoot, serve: Serve, open_page: Open
) -> None:
    skills_root.add("pdf", description="Reads PDF files.", body="Run it.\n")
    server = serve(skills_root.path)
    page = open_page(server.url)
    page.locator(".skill summary").click()
    expect(page.locator(".skill pre")).to_have_text("Run it.\n")
    page.evaluate("document.body.dataset.same = 'yes'")
    skills_root.add("pdf", description="Reads and writes PDF files.", body="Run it twice.\n")
    expect(page.locator(".skill .description")).to_have_text("Reads and writes PDF files.", timeout=A_SECOND)
    expect(page.locator(".skill pre")).to_have_text("Run it twice.\n", timeout=A_SECOND)
    entry = page.locator("#change-list > li").first
    expect(entry).to_contain_text(re.compile("changed.*pdf.*catalog.*instructions.*pdf/SKILL.md", re.S))
    expect(page.locator("body")).to_have_attribute("data-same", "yes")


def test_the_feed_survives_a_reload(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    skills_root.add("pdf")
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect_live(page)
    skills_root.add("pdf", files={"run.py": "x"})
    expect(page.locator("#change-list > li")).to_have_count(1)
    skills_root.write("broken/SKILL.md", "no frontmatter")
    expect(page.locator("#change-list > li")).to_have_count(2)
    before = page.locator("#change-list > li").all_inner_texts()
    assert "no-frontmatter" in before[0]
    page.reload()
    expect(page.locator("#change-list > li")).to_have_count(2)
    expect(page.locator("#change-list > li").last).to_have_text(re.compile("changed.*pdf.*files", re.S))
    assert page.locator("#change-list > li").all_inner_texts() == before


def test_a_broken_skill_shows_its_problem_until_it_is_mended(
    skills_root: SkillsRoot, serve: Serve, open_page: Open
) -> None:
    skills_root.add("pdf")
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect(page.locator("#no-problems")).to_be_visible()
    skills_root.write("pdf/SKILL.md", "---\nname: pdf\ndescription: [a\n---\n")
    problem = page.locator(".problem", has_text="invalid-yaml")
    expect(problem).to_contain_text("error", timeout=A_SECOND)
    expect(problem.locator(".path")).to_have_text(re.compile(r"pdf/SKILL\.md:\d+"))
    expect(problem.locator(".cure")).to_have_text(re.compile("Mend the YAML"))
    expect(page.locator(".skill .labels")).to_contain_text("2 problems")
    expect(page.locator("#change-list")).to_contain_text("invalid-yaml")
    skills_root.add("pdf")
    expect(problem).to_have_count(0, timeout=A_SECOND)
    expect(page.locator("#no-problems")).to_be_visible()
    expect(page.locator("#change-list > li").first).to_contain_text("mended")


def test_many_problems_leave_room_for_what_stands_below(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    for number in range(15):
        skills_root.write(f"broken-{number}/SKILL.md", "No frontmatter.")
    page = open_page(serve(skills_root.path).url)
    expect(page.locator(".problem:visible")).to_have_count(12)
    page.get_by_role("button", name="Show all 15").click()
    expect(page.locator(".problem:visible")).to_have_count(15)
    skills_root.write("broken-15/SKILL.md", "No frontmatter.")
    expect(page.locator(".problem:visible")).to_have_count(16)


def test_a_new_skill_comes_and_a_removed_one_goes(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect(page.locator("#no-skills")).to_be_visible()
    expect(page.locator("#no-skills")).to_contain_text(f"make a folder with a SKILL.md in {skills_root.path}")
    skills_root.add("pdf")
    skills_root.add("csv")
    expect(page.locator(".skill")).to_have_count(2, timeout=A_SECOND)
    expect(page.locator("#no-skills")).to_be_hidden()
    shutil.rmtree(skills_root.path / "pdf")
    expect(page.locator(".skill")).to_have_count(1, timeout=A_SECOND)
    assert skill_names(page) == ["csv"]
    expect(page.locator("#change-list > li").first).to_contain_text("removed")


def test_the_page_recovers_when_the_server_is_back(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    skills_root.add("pdf")
    server = serve(skills_root.path)
    page = open_page(server.url, expected=EXPECTED)
    expect_live(page)
    server.stop()
    expect(page.locator("#away")).to_contain_text(re.compile(r"Not connected since \d\d:\d\d:\d\d"))
    expect(page.locator("#connection")).to_have_text("Not connected")
    assert skill_names(page) == ["pdf"]
    skills_root.add("csv")
    with Server(skills_root.path, at=("--port", str(server.port))):
        expect(page.locator(".skill")).to_have_count(2)
        expect(page.locator("#away")).to_be_hidden()
        expect_live(page)
        expect(page.locator("#change-list > li").first).to_contain_text("came back")
        skills_root.add("pdf", description="Reads PDF files.")
        expect(page.locator("#skill-list")).to_contain_text("Reads PDF files.", timeout=A_SECOND)


def test_search_finds_every_word_and_escape_clears_it(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    for name, description in {"pdf": "Reads forms.", "csv": "Reads tables.", "web": "Fetches forms."}.items():
        skills_root.add(name, description=description)
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect_live(page)
    search = page.get_by_label("Search skills")
    search.fill("forms READS")
    assert skill_names(page) == ["pdf"]
    expect(page.locator("#found")).to_have_text("1 of 3 skills")
    search.fill("nothing of the kind")
    expect(page.locator("#found")).to_contain_text("Esc clears")
    search.press("Escape")
    assert skill_names(page) == ["csv", "pdf", "web"]


def test_text_of_skills_is_shown_as_text(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    evil = "<img src=x onerror=\"document.body.id='hurt'\"><script>document.body.id='hurt'</script>"
    for name in ("evil", "twin"):
        frontmatter = f"name: '<b onclick=x>'\ndescription: |\n  {evil}\n'<u>key': |\n  {evil}\n"
        skills_root.write(f"{name}/SKILL.md", f"---\n{frontmatter}---\n{evil}\n")
    skills_root.write("evil/<i>file<i>.md", evil)
    skills_root.write("<s>broken<s>/SKILL.md", f"---\n{evil}: [\n---\n")
    server = serve(skills_root.path)
    page = open_page(server.url)
    page.locator(".skill summary").click()
    page.locator("#prompt-details summary").click()
    skills_root.write("evil/<i>more<i>.md", evil)
    expect(page.locator("#change-list")).to_contain_text("evil/<i>more<i>.md")
    expect(page.locator(".skill .name")).to_have_text("<b onclick=x>")
    expect(page.locator(".skill .description")).to_have_text(evil)
    expect(page.locator(".skill pre")).to_have_text(evil + "\n")
    expect(page.locator(".skill dl")).to_contain_text("<u>key")
    expect(page.locator(".skill .files")).to_contain_text("<i>file<i>.md")
    expect(page.locator("#problem-list")).to_contain_text("<s>broken<s>/SKILL.md")
    assert page.locator(":is(main, nav) :is(img, script, i, u, s, b[onclick])").count() == 0
    assert page.locator("body").get_attribute("id") is None


def test_a_token_is_asked_for_and_kept_in_the_tab_alone(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    skills_root.add("pdf")
    server = serve(skills_root.path, SKILLS_REFRESH_TOKEN="secret")
    page = open_page(server.url, expected=EXPECTED)
    field = page.get_by_label("Token", exact=True)
    for wrong in ("wrong", "cl\u00e9", "\u2603"):
        field.fill(wrong)
        field.press("Enter")
        expect(page.locator("#token-error")).to_have_text("The server does not know this token.")
        expect(field).to_have_value("")
    expect(page.locator("#content")).to_be_hidden()
    field.fill("secret")
    field.press("Enter")
    expect(page.locator(".skill")).to_have_count(1)
    expect(field).to_be_hidden()
    page.reload()
    expect(page.locator(".skill")).to_have_count(1)
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    assert "secret" not in page.url


def test_everything_can_be_done_with_the_keyboard(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    for name in ("csv", "pdf", "web"):
        skills_root.add(name, body=f"The text of {name}.\n")
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect_live(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search skills")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.locator(".skill", has_text="pdf").locator("summary")
    expect(focused).to_be_focused()
    assert focused.evaluate("(head) => getComputedStyle(head).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".skill pre:visible")).to_have_text("The text of pdf.\n")
    page.keyboard.press("Tab")
    expect(page.locator(".skill pre:visible")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("web/")
    expect(page.get_by_label("Search skills")).to_have_value("web/")
    assert skill_names(page) == ["web"]
    page.keyboard.press("ArrowDown")
    expect(page.locator(".skill", has_text="web").locator("summary")).to_be_focused()
    page.keyboard.press("Escape")
    assert len(skill_names(page)) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_any_screen(scheme: str, skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    long = "a-very-long-name-" * 3
    skills_root.add(long, description="word " * 60, files={f"{'deep/' * 8}{long}.md": "x"}, body="y" * 500)
    skills_root.write(f"{long}broken/SKILL.md", "---\n---\n")
    skills_root.write(f"{long}/.venv/lib.py", "")
    server = serve(skills_root.path)
    page = open_page(server.url, color_scheme=scheme)
    expect_live(page)
    for summary in ("#skill-list summary", "#prompt-details summary", "#root-list summary"):
        page.locator(summary).first.click()
    expect(page.locator(".skill pre")).to_be_visible()
    skills_root.write(f"{long}/more.md", "x")
    expect(page.locator("#change-list > li")).to_have_count(1)
    for width in (320, 390, 700, 800, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", color))) < 200) == (scheme == "dark")


def test_a_named_workspace_has_its_own_page(tmp_path: Path, serve: Serve, open_page: Open) -> None:
    SkillsRoot(tmp_path / "all").add("shared")
    alice = SkillsRoot(tmp_path / "alice")
    alice.add("hers")
    config = tmp_path / "skills-refresh.toml"
    config.write_text('roots = ["all"]\n\n[workspaces.alice]\nroots = ["alice"]\n')
    server = serve("--config", config)
    page = open_page(f"{server.url}/w/alice")  # without the slash, as people type it
    expect(page.locator("h1")).to_have_text("Skills in alice")
    expect_live(page)
    assert (page.url, skill_names(page)) == (f"{server.url}/w/alice/", ["hers"])
    alice.add("new")
    expect(page.locator(".skill")).to_have_count(2, timeout=A_SECOND)
    top = open_page(server.url)
    expect_live(top)
    assert skill_names(top) == ["shared"]
    nobody = open_page(f"{server.url}/w/nobody/", expected=EXPECTED)
    expect(nobody.locator("#away")).to_contain_text("there is no workspace 'nobody'. The configuration names")


def test_the_page_of_a_named_workspace_can_be_had_before_its_token(
    tmp_path: Path, serve: Serve, open_page: Open
) -> None:
    SkillsRoot(tmp_path / "alice").add("hers")
    config = tmp_path / "skills-refresh.toml"
    config.write_text('[workspaces.alice]\nroots = ["alice"]\n')
    server = serve("--config", config, SKILLS_REFRESH_TOKEN="secret")
    page = open_page(f"{server.url}/w/alice", expected=EXPECTED)
    page.get_by_label("Token", exact=True).fill("secret")
    page.keyboard.press("Enter")
    expect(page.locator(".skill .name")).to_have_text("hers")


def test_roots_are_shown_with_what_is_watched_and_what_is_left_out(
    tmp_path: Path, serve: Serve, open_page: Open
) -> None:
    first = SkillsRoot(tmp_path / "first")
    first.add("pdf", description="The one that wins.", files={".venv/one.py": "", ".venv/two.py": ""})
    SkillsRoot(tmp_path / "second").add("pdf", description="The other.")
    server = serve(first.path, tmp_path / "second", tmp_path / "later")
    page = open_page(server.url)
    expect(page.locator(".skill .labels")).to_contain_text("shadows 1")
    page.locator(".skill summary").click()
    expect(page.locator(".skill dl")).to_contain_text(f"{tmp_path}/second/pdf/SKILL.md")
    page.locator("#watching").scroll_into_view_if_needed()
    root = page.locator(".root", has_text=str(first.path))
    expect(root).to_contain_text("native")
    expect(root).to_contain_text("2 directories watched")
    root.locator("summary").click()
    expect(root.locator(".files")).to_contain_text(re.compile(r"pdf/\.venv.*2 files", re.S))
    missing = page.locator(".root", has_text=str(tmp_path / "later"))
    expect(missing).to_contain_text(re.compile("missing.*(does not exist|missing)", re.S))
    expect(page.locator("#budget-bar")).to_have_attribute("aria-valuetext", re.compile(r"\d+ of [\d,]+ \("))
    SkillsRoot(tmp_path / "later").add("csv")
    expect(missing).to_contain_text("native")
    expect(page.locator(".change", has_text="native")).to_contain_text(str(tmp_path / "later"))


def test_the_prompt_is_shown_as_a_model_reads_it(skills_root: SkillsRoot, serve: Serve, open_page: Open) -> None:
    skills_root.add("pdf", description="Reads \U0001f4c4 & <forms>.")
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect_live(page)
    page.locator("#prompt-details summary").click()
    text = page.evaluate("fetch('v1/prompt').then((response) => response.text())")
    assert "&amp; &lt;forms&gt;" in text
    expect(page.locator("#prompt-text")).to_have_text(text)
    expect(page.locator("#prompt-size")).to_contain_text(f"{len(text):,} characters, about {-(-len(text) // 4):,}")
    expect(page.locator("#prompt-size")).to_contain_text("estimate")
    skills_root.add("csv")
    expect(page.locator("#prompt-text")).to_contain_text("<name>csv</name>", timeout=A_SECOND)


def test_an_edit_to_one_of_a_thousand_skills_touches_one_row(
    skills_root: SkillsRoot, serve: Serve, open_page: Open
) -> None:
    for number in range(1_000):
        path = skills_root.path / f"skill-{number}"
        os.mkdir(path)
        (path / "SKILL.md").write_text(skill_text(path.name))
    server = serve(skills_root.path)
    page = open_page(server.url)
    expect(page.locator(".skill")).to_have_count(1_000)
    expect_live(page)
    page.evaluate(COUNT_TOUCHED_ROWS)
    skills_root.add("skill-500", description="Another text.")
    # Asked in the page: a locator of Playwright's lays out a thousand rows to look for a text.
    texts = "[...document.querySelectorAll('.description')].map((each) => each.textContent)"
    wait_for(lambda: "Another text." in page.evaluate(texts), "the edit", timeout=A_SECOND / 1_000)
    expect(page.locator(".skill .tag.changed")).to_have_count(1)
    expect(page.locator("body")).to_have_attribute("data-touched", "1")
