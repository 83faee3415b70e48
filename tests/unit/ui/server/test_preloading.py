"""The page names the files that it needs, as a first visit asked for them."""

from __future__ import annotations

import re

import pytest

from ui.server.preloading import LEAST, MOST, PAGE, RUNS, Preloads

HTML = b'<head><base href="./" /><title>Parley</title></head>'


def ask(preloads: Preloads, path: str) -> None:
    """Ask for a path, and get it."""
    preloads.asked(path)
    preloads.answered(path)


def visit(preloads: Preloads, files: int) -> None:
    ask(preloads, PAGE)
    for number in range(files):
        ask(preloads, f"/assets/part-{number}.js")
    ask(preloads, "/assets/look.css")
    ask(preloads, "/assets/photo.png")
    ask(preloads, RUNS)


def test_the_page_names_what_a_first_visit_asked_for_in_its_order() -> None:
    preloads = Preloads()
    assert preloads.added_to(HTML) == HTML
    visit(preloads, LEAST)
    ask(preloads, "/assets/later.js")
    page = preloads.added_to(HTML).decode()
    links = page.removeprefix('<head><base href="./" />').removesuffix("<title>Parley</title></head>")
    scripts = [f'<link rel="modulepreload" href="./assets/part-{number}.js">' for number in range(LEAST)]
    assert links == "".join([*scripts, '<link rel="preload" as="style" href="./assets/look.css">'])


@pytest.mark.parametrize("files", [0, LEAST - 2, MOST], ids=["cached", "partly cached", "a program"])
def test_a_visit_that_asked_for_few_or_far_too_many_teaches_nothing(files: int) -> None:
    preloads = Preloads()
    visit(preloads, files)
    assert preloads.added_to(HTML) == HTML
    visit(preloads, LEAST)
    assert preloads.added_to(HTML) != HTML


def test_a_partly_cached_visit_teaches_nothing_however_many_tabs_it_opens() -> None:
    preloads = Preloads()
    visit(preloads, LEAST - 2)
    for number in range(2 * LEAST):
        ask(preloads, f"/assets/behind-a-tab-{number}.js")
    ask(preloads, RUNS)
    assert preloads.added_to(HTML) == HTML


def test_names_that_are_no_files_of_gradio_are_not_put_into_the_page() -> None:
    preloads = Preloads()
    ask(preloads, PAGE)
    ask(preloads, '/assets/"><script>alert(1)</script>.js')
    visit(preloads, LEAST)
    assert b"<script>" not in preloads.added_to(HTML)


def test_files_that_a_busy_server_answers_after_the_page_runs_are_named_in_the_order_they_were_asked_for() -> None:
    preloads = Preloads()
    ask(preloads, PAGE)
    preloads.asked("/assets/slow.js")
    for number in range(LEAST):
        ask(preloads, f"/assets/part-{number}.js")
    ask(preloads, RUNS)
    assert preloads.added_to(HTML) == HTML
    preloads.asked("/assets/slower.js")
    preloads.answered("/assets/slow.js")
    assert preloads.added_to(HTML) == HTML
    preloads.answered("/assets/slower.js")
    names = re.findall(r"/assets/([\w-]+)", preloads.added_to(HTML).decode())
    assert names == ["slow", *(f"part-{number}" for number in range(LEAST)), "slower"]


def test_a_visit_with_a_file_that_never_comes_teaches_nothing_but_the_next_does() -> None:
    preloads = Preloads()
    preloads.asked("/assets/gone.js")
    ask(preloads, PAGE)
    preloads.asked("/assets/gone.js")
    for number in range(LEAST):
        ask(preloads, f"/assets/part-{number}.js")
    ask(preloads, RUNS)
    assert preloads.added_to(HTML) == HTML
    visit(preloads, LEAST)
    assert b"gone" not in preloads.added_to(HTML)
    assert b"part-0" in preloads.added_to(HTML)


def test_somebody_who_keeps_asking_for_what_is_not_there_does_not_keep_the_page_from_learning() -> None:
    preloads = Preloads()
    ask(preloads, PAGE)
    for number in range(LEAST):
        preloads.asked("/assets/gone.js")
        preloads.refused("/assets/gone.js")
        ask(preloads, f"/assets/part-{number}.js")
        preloads.refused(f"/assets/part-{number}.js")  # by another's request, which failed
    ask(preloads, RUNS)
    names = re.findall(r"/assets/([\w-]+)", preloads.added_to(HTML).decode())
    assert names == [f"part-{number}" for number in range(LEAST)]


def test_names_that_somebody_makes_up_are_not_kept() -> None:
    preloads = Preloads()
    for number in range(10 * MOST):
        preloads.asked(f"/assets/{number}.js")
    assert len(preloads._asked) <= MOST + 1
    visit(preloads, LEAST)
    assert b"part-0" in preloads.added_to(HTML)
