"""The exports page and its forms, the documentation, cards and report, as a browser gets them."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServeOptions
from exporter_pipelines.service.models import Export
from exporter_pipelines.service.openapi import role_of
from exporter_pipelines.service.page import views
from exporter_pipelines.service.page.charts import safe_charts
from exporter_pipelines.service.page.documents import html_of, pages
from exporter_pipelines.service.page.forms import ExportForm
from exporter_pipelines.service.page.texts import with_links
from exporter_pipelines.service.routes import documents
from exporter_pipelines.service.routes import page as page_routes
from exporter_pipelines_tests.support.backends import (
    ANOMALIES,
    IPS,
    LOGS,
    Backend,
    fresh_database,
)
from exporter_pipelines_tests.support.in_process_service import (
    InProcessService,
    in_process_service,
)
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.support.web_pages import WebPage

ONE, TWO, THREE, FOUR = (f"2026-11-{day:02}" for day in range(1, 5))
NONE = "\N{EN DASH}"
HTML = {"accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def backend(postgres_url: str) -> Iterator[Backend]:
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(ONE, 200)
        backend.add_logs(TWO, 200, first_id=1_000, level="odd")
        backend.add_logs(THREE, 30, first_id=5_000)
        yield backend


@pytest.fixture(scope="module")
def running(
    backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InProcessService]:
    with in_process_service(tmp_path_factory.mktemp("page"), backend.url) as service:
        yield service


def browser(service: InProcessService, *roles: str) -> TestClient:
    client = service.client(*(roles or ("operator",)))  # type: ignore[arg-type]
    client.headers.update(HTML)
    return client


def form(**fields: object) -> dict[str, object]:
    return {
        "datasets": ["logs"], "start_date": ONE, "end_date": THREE, "title": "", "batch_rows": "",
    } | fields  # fmt: skip


def ended(service: InProcessService, path: str) -> Export:
    client = service.client("viewer")
    return wait_until(
        lambda: Export.model_validate(client.get(f"/api/v1{path}").json()),
        "the export has ended",
        until=lambda found: found.ended_at is not None,
    )


@pytest.fixture(scope="module")
def held(running: InProcessService) -> Export:
    """An export that was started with the form, one day of which is held."""
    sent = form(title="First <b>try</b>", key="sent twice")
    answers = [browser(running).post("/exports", data=sent) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303], answers[0].text
    first, second = (each.headers["location"] for each in answers)
    assert first == second
    return ended(running, first)


def test_the_form_starts_an_export_once(held: Export) -> None:
    assert (held.status, held.source, held.user) == ("held", "page", "alice")
    assert {str(each.day): each.status for each in held.results} == {
        ONE: "published", TWO: "held", THREE: "published",
    }  # fmt: skip


def test_a_form_that_was_changed_after_it_was_sent_starts_another_export() -> None:
    """The page that a browser goes back to has the key of the form that was sent."""
    sent = {"key": ["k"], "datasets": ["logs"], "start_date": [ONE], "end_date": [ONE]}
    keys = [
        ExportForm.of({**sent, **changed}).idempotency_key
        for changed in ({}, {}, {"end_date": [TWO]}, {"title": ["new"]}, {"batch_rows": ["2000"]})
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert all(len(key) <= 128 for key in keys)


def test_the_page_of_an_export_says_why_a_day_is_held_and_what_to_do(
    running: InProcessService, held: Export
) -> None:
    page = WebPage(browser(running).get(f"/exports/{held.id}").text)
    assert page.heading == "First <b>try</b>"
    assert f"logs {TWO} held" in page.text
    assert "200 of 200 rows rejected" in page.text
    assert "What to do: Look at the rejected rows in the quarantine file." in page.text
    assert {
        "/docs/failures#a-day-is-held",
        f"/assets/logs?view=partitions&partition={TWO}",
        f"/runs/{held.results[1].run_id}",
        f"/api/v1/datasets/logs/days/{ONE}/manifest",
        f"/api/v1/datasets/logs/rows?start_date={ONE}&end_date={THREE}&missing=skip&as=concat",
    } <= page.links
    assert f"/api/v1/datasets/logs/days/{TWO}/quarantine" not in page.links
    with_role = WebPage(browser(running, "operator", "quarantine").get(f"/exports/{held.id}").text)
    assert f"/api/v1/datasets/logs/days/{TWO}/quarantine" in with_role.links
    assert page.problems() == []


def test_a_reason_that_many_days_share_is_told_once(
    running: InProcessService, held: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the days are rejected, with other numbers and files, and half have lost rows."""
    days = [dt.date(2026, 6, 1) + dt.timedelta(days=n) for n in range(152)]
    rejected = [
        held.results[1].model_copy(
            update={
                "day": day,
                "problem": f"held; this day has no published export. {n} of {n} rows rejected "
                f"(100.00 %). Rejected rows: /srv/ex ports/logs/quarantine/date={day}/l{n}.gz.",
            }
        )
        for n, day in enumerate(days[:76], 20)
    ]
    lost = [
        held.results[1].model_copy(
            update={
                "day": day,
                "problem": f"held; the published export of 2026-11-29 07:2{n % 10}:00 UTC stays. "
                f"39 rows are gone. To keep it, run `exporter keep logs {day}`.",
                "action": f"Find out why. To keep it, run `exporter keep logs {day}`.",
                "lost_rows": 39,
            }
        )
        for n, day in enumerate(days[76:])
    ]
    many = held.model_copy(update={"results": [*rejected, *lost], "end_date": days[-1]})
    monkeypatch.setattr(page_routes, "exports_of", lambda _: SimpleNamespace(get=lambda _: many))
    monkeypatch.setattr(views, "held_days", lambda _store, _dataset, days: days)
    html = browser(running, "operator", "quarantine").get(f"/exports/{held.id}").text
    page = WebPage(html)
    assert page.problems() == []
    reasons = [e for e in page.elements("li") if e.attributes.get("id", "").startswith("day-")]
    assert [" ".join(each.text.split())[:31] for each in reasons] == [
        "logs 76 days held 2026-06-01 to", "logs 76 days held 2026-08-16 to",
    ]  # fmt: skip
    assert "20 to 95 of 20 to 95 rows rejected (100.00 %). What to do" in page.text
    assert "2026-11-29 07:20:00 to 2026-11-29 07:29:00 UTC stays. 39 rows are gone." in page.text
    assert page.text.count("Find out why.") == 1
    ids = {each.attributes["id"] for each in reasons}
    assert {f"#{id_}" for id_ in ids} == {link for link in page.links if link.startswith("#day-")}
    for day in map(str, days[:76]):
        assert f"/api/v1/datasets/logs/days/{day}/quarantine" in page.links
    kept = [form for form in page.elements("form") if form.attributes["action"].endswith("/keep")]
    assert len(kept) == 76
    assert len(html) < 1_700 * 152 + 20_000


def test_history_and_numbers_are_on_the_page(running: InProcessService, held: Export) -> None:
    page = WebPage(browser(running).get("/exports").text)
    row = next(row for row in page.rows("history") if "First <b>try</b>" in row[0])
    assert f"logs, {ONE} to {THREE}" in row[0]
    assert row[1] == "held"
    assert row[4:6] == ["2 of 3", "230"]
    assert row[6].startswith("alice")
    assert "Success rate" in page.text
    assert page.problems() == []
    none = WebPage(browser(running).get("/exports?status=failed&user=nobody").text)
    assert "No export matches the filter." in none.text
    wrong = browser(running).get("/exports?status=odd")
    assert wrong.status_code == 200
    assert "The filter status cannot have this value." in wrong.text
    unknown = browser(running).get("/exports?dataset=nope")
    assert unknown.status_code == 200
    assert "does not exist (there are: anomalies, ips, logs" in WebPage(unknown.text).text


def test_a_preview_shows_the_rows_of_each_day(running: InProcessService, held: Export) -> None:
    answer = browser(running, "viewer").post("/exports/preview", data=form(only=["held"]))
    page = WebPage(answer.text)
    assert page.rows("preview")[1:] == [[TWO, "logs", "held", "200", NONE]]
    assert page.checked == {"logs", "held"}


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"datasets": []}, "datasets", "Choose at least one dataset."),
        ({"datasets": ["../etc"]}, "datasets", "is no dataset. The datasets are"),
        ({"start_date": "1.11."}, "start_date", "Choose the first day."),
        ({"start_date": "2026-10-01"}, "start_date", "is before the first day"),
        ({"end_date": "2026-10-31"}, "end_date", "is before start_date"),
        ({"batch_rows": "5"}, "batch_rows", "from 1,000 to 500,000"),
        ({"only": ["odd"]}, "only", "This value is not possible."),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_the_rest_stays(
    running: InProcessService, wrong: dict[str, object], field: str, message: str
) -> None:
    answer = browser(running).post("/exports", data=form(title="keep me") | wrong)
    assert answer.status_code == 422
    page = WebPage(answer.text)
    assert message in page.text_of(f"{field}-mistake")
    assert page.values["title"] == "keep me"
    assert page.problems() == []


def test_a_viewer_sees_why_nothing_can_be_started(running: InProcessService, held: Export) -> None:
    for path in ("/exports", f"/exports/{held.id}"):
        page = WebPage(browser(running, "viewer").get(path).text)
        enabled = {button.text for button in page.buttons if "disabled" not in button.attributes}
        assert enabled <= {"Preview", "Filter"}
        assert "needs the role exporter. alice has viewer." in page.text
        assert page.problems() == []
    for path in ("", f"/{held.id}/cancel", f"/{held.id}/rerun", "/held/keep", "/held/accept"):
        answer = browser(running, "viewer").post(f"/exports{path}", data=form())
        assert answer.status_code == 403, path
        assert "needs the role" in WebPage(answer.text).text
    for path in ("/held/keep", "/held/accept"):
        assert browser(running, "exporter").post(f"/exports{path}").status_code == 403


def test_an_operator_keeps_or_accepts_a_day_that_lost_rows(
    running: InProcessService, backend: Backend, held: Export
) -> None:
    backend.run("DELETE FROM logs WHERE timestamp::date = %s", [ONE])
    backend.run("DELETE FROM logs WHERE timestamp::date = %s", [THREE])
    lost = ended(running, browser(running).post("/exports", data=form()).headers["location"])
    assert [each.lost_rows for each in lost.results] == [200, None, 30]
    page = WebPage(browser(running).get(f"/exports/{lost.id}").text)
    assert f"{ONE}: 200 rows Keep" in page.text
    assert f"{THREE}: 30 rows Keep" in page.text
    assert f"exporter keep logs {ONE} {THREE} keeps all of them." in page.text
    assert page.problems() == []
    disabled = WebPage(browser(running, "exporter").get(f"/exports/{lost.id}").text)
    assert "This decision needs the role operator. alice has exporter." in disabled.text

    decision = {"dataset": "logs", "day": ONE, "export": lost.id}
    unconfirmed = browser(running).post("/exports/held/keep", data=decision)
    assert unconfirmed.status_code == 422
    kept = browser(running).post("/exports/held/keep", data=decision | {"confirm": "yes"})
    assert kept.headers["location"] == f"/exports/{lost.id}?done=kept"
    after = WebPage(browser(running).get(kept.headers["location"]).text)
    assert "The published export is kept." in after.text
    assert f"{ONE}: 200 rows" not in after.text
    assert f"{ONE} is not held any more." in after.text
    again = browser(running).post("/exports/held/keep", data=decision | {"confirm": "yes"})
    assert again.status_code == 409

    accepted = browser(running).post(
        "/exports/held/accept", data=decision | {"day": THREE, "confirm": "yes"}
    )
    done = ended(running, accepted.headers["location"])
    assert (done.status, done.title) == ("completed", f"Loss accepted: logs {THREE}")
    assert [each.rows_exported for each in done.results] == [0]


def test_an_export_that_ended_cannot_be_cancelled_but_repeated(
    running: InProcessService, held: Export
) -> None:
    answer = browser(running).post(f"/exports/{held.id}/cancel")
    assert answer.status_code == 409
    assert "The export has ended" in WebPage(answer.text).text
    again = browser(running).post(f"/exports/{held.id}/rerun").headers["location"]
    cancelled = browser(running).post(f"{again}/cancel")
    assert cancelled.status_code == 303, WebPage(cancelled.text).text
    assert cancelled.headers["location"] == f"{again}?done=cancelled"
    after = ended(running, again)
    # Held if the day had been judged before the run was stopped.
    [result] = after.results
    assert (str(result.day), result.status) in [(TWO, "cancelled"), (TWO, "held")]
    page = WebPage(browser(running).get(cancelled.headers["location"]).text)
    assert "The export is being cancelled." in page.text


def test_pages_allow_no_foreign_content(running: InProcessService, held: Export) -> None:
    for path in ("/exports", f"/exports/{held.id}", "/docs/", "/exports/datasets/logs"):
        answer = browser(running, "viewer").get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        page = WebPage(answer.text)
        nonces = {each.attributes["nonce"] for each in page.elements("script", "link[rel=style")}
        assert all(f"'nonce-{nonce}'" in policy for nonce in nonces)
        assert not page.inline_styles_and_handlers()
        assert page.problems() == []


def test_all_addresses_have_the_prefix_and_read_only_is_said(
    running: InProcessService, held: Export
) -> None:
    options = ServeOptions(prefix="/exporter", read_only=True)
    context = replace(running.context, options=options)
    prefixed = InProcessService(context, create_api(context))
    for path in ("/exports", f"/exports/{held.id}", "/docs/", "/exports/datasets/logs"):
        page = WebPage(browser(prefixed).get(f"/exporter{path}").text)
        addresses = {
            each.attributes[name]
            for each in page.all
            for name in ("href", "src", "action", "formaction", "data-page", "data-live")
            if each.attributes.get(name, "").startswith("/")
        }
        assert addresses, path
        assert {each for each in addresses if not each.startswith("/exporter/")} == set()
        if path.startswith("/exports") and "datasets" not in path:
            assert "The service is in read-only mode: nobody may change anything." in page.text
    unknown = browser(prefixed).get("/exporter/exports/nothing")
    assert unknown.headers["content-type"].startswith("text/html")


def test_an_unknown_export_and_wrong_forms_are_pages_with_a_reason(
    running: InProcessService,
) -> None:
    unknown = browser(running).get("/exports/nothing")
    assert unknown.status_code == 404
    assert WebPage(unknown.text).problems() == []
    as_json = running.client("viewer").get("/exports/nothing")
    assert as_json.headers["content-type"] == "application/problem+json"
    assert browser(running).post("/exports", json={}).status_code == 415
    too_many = {f"field{number}": "x" for number in range(300)}
    assert browser(running).post("/exports", data=too_many).status_code == 400


def test_each_link_in_the_documentation_works(running: InProcessService) -> None:
    client = browser(running, "viewer")
    texts = dict.fromkeys(pages(), "")
    links = set()
    for name in texts:
        answer = client.get("/docs/" if name == "README" else f"/docs/{name}")
        assert answer.status_code == 200, name
        page, texts[name] = WebPage(answer.text), answer.text
        assert page.problems() == [], name
        links |= {
            (name, answer.url.join(link))
            for link in page.links
            if "://" not in link and not link.startswith(("/exports", "/assets"))
        }
    assert len(links) > 100
    for name, link in links:
        target = link.path.removeprefix("/docs/") or "README"
        if target == "manifest.schema.json":
            assert client.get(link.path).json()["title"] == "Manifest"
            continue
        assert target in texts, f"{name} links to {link}"
        assert not link.fragment or f'id="{link.fragment}"' in texts[target], f"{name}: {link}"


def test_the_documentation_lists_each_page_with_its_role(running: InProcessService) -> None:
    text = (Path(pages()["exports-page"])).read_text()
    listed = set(re.findall(r"^\| (GET|POST) \| `([^`]+)` \| (\w+) \|", text, re.MULTILINE))
    redirects = {"/docs", "/exports/report"}
    served = {
        (method, route.path.replace(":path", ""), role_of(route))
        for route in [*documents.router.routes, *page_routes.router.routes]
        if isinstance(route, APIRoute) and route.path not in redirects
        for method in route.methods
    }
    assert listed == served


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See docs/quality.md", 'See <a href="/p/docs/quality">docs/quality.md</a>'),
        (
            "(https://e.org/p/docs/failures#a-day-is-held).",
            '(<a href="/p/docs/failures#a-day-is-held">docs/failures.md#a-day-is-held</a>).',
        ),
        ("https://www.postgresql.org/docs/current/x.html", None),
        ("<b> & docs/nothing.md", "&lt;b&gt; &amp; docs/nothing.md"),
    ],
)
def test_references_in_messages_become_links(text: str, expected: str | None) -> None:
    assert with_links(text, "/p/docs/") == (expected or text)


def test_markdown_brings_no_html_and_headings_have_the_ids_of_github() -> None:
    title, body = html_of(
        "# A `title`\n\n<script>alert(1)</script>\n\n## What to do?\n\n## What to do?\n\n"
        "[x](javascript:alert(1)) [y](quality.md#checks) [z](../CHANGELOG.md) "
        "[of the changelog](docs/verify.md)\n"
    )
    assert title == "A title"
    assert "<script" not in body
    assert 'href="javascript' not in body
    assert re.findall(r'id="([^"]*)"', body) == ["a-title", "what-to-do", "what-to-do-1"]
    assert 'href="quality#checks"' in body
    assert 'href="changelog"' in body
    assert 'href="verify"' in body


def test_a_report_brings_charts_and_nothing_else_to_the_exports_page() -> None:
    chart = (
        '<figure class="card"><h2 id="a">T &amp; &lt;b&gt;</h2><svg viewbox="0 0 1 1"><g id="b">'
        '<path d="M 0 0"></path></g><use xlink:href="#b" x="1"></use></svg></figure>'
    )
    hostile = (
        '<form action="/exports/held/accept" method="post"><button>Start</button></form>'
        '<meta http-equiv="refresh" content="0;url=//evil.example"><a href="//evil.example">x</a>'
        '<script>1</script><svg onload="x"><use xlink:href="//evil.example#a"></use></svg>'
        "<!-- x --><i style='position: fixed' data-live='/x'></i><iframe src=//evil.example>"
        "<![CDATA[<img src=x>]]>"
    )
    page = "<!-- charts -->{}<!-- end of charts -->"
    assert safe_charts(page.format(chart)) == chart
    found = str(safe_charts(page.format(hostile)))
    names = set(re.findall(r"<(\w+)", found))
    assert names <= {"svg", "use", "i"}
    assert not re.search(r"evil|<!|onload=|style=|data-|<img", found.replace("&lt;", ""))
    assert safe_charts("<p>no charts</p>") is None
    before = time.process_time()
    assert safe_charts("<!-- charts -->" * 20_000) is None
    assert time.process_time() - before < 1


def test_the_report_is_served_with_the_files_that_it_links_to(
    running: InProcessService, held: Export
) -> None:
    client = browser(running, "viewer")
    missing = client.get("/exports/report/")
    assert missing.status_code == 404
    assert "There is no export report yet." in WebPage(missing.text).text
    report = Path(running.store.root) / "report" / "index.html"
    report.parent.mkdir()
    report.write_text(
        f'<a href="../logs/data/date={ONE}/_manifest.json">m</a><!-- charts -->'
        "<svg></svg><!-- end of charts -->"
    )
    assert client.get("/exports/report").headers["location"] == "/exports/report/"
    assert client.get("/exports/report/").text == report.read_text()
    manifest = client.get(f"/exports/logs/data/date={ONE}/_manifest.json", follow_redirects=True)
    assert manifest.json()["partition"] == ONE
    assert "<svg></svg>" in client.get("/exports").text
    report.unlink()
