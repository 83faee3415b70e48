"""The page names the files that it needs, as a first visit asked for them."""

from __future__ import annotations

import pytest

from ui.server.preloading import LEAST, MOST, PAGE, RUNS, Preloads

HTML = b'<head><base href="./" /><title>Parley</title></head>'


def visit(preloads: Preloads, files: int) -> None:
    preloads.note(PAGE)
    for number in range(files):
        preloads.note(f"/assets/part-{number}.js")
    preloads.note("/assets/look.css")
    preloads.note("/assets/photo.png")
    preloads.note(RUNS)


def test_the_page_names_what_a_first_visit_asked_for_in_its_order() -> None:
    preloads = Preloads()
    assert preloads.added_to(HTML) == HTML
    visit(preloads, LEAST)
    preloads.note("/assets/later.js")
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


def test_names_that_are_no_files_of_gradio_are_not_put_into_the_page() -> None:
    preloads = Preloads()
    preloads.note(PAGE)
    preloads.note('/assets/"><script>alert(1)</script>.js')
    visit(preloads, LEAST)
    assert b"<script>" not in preloads.added_to(HTML)
