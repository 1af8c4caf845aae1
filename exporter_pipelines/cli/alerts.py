"""`exporter alert-test`: the command; messages and receivers are in `alerts`."""

from __future__ import annotations

import click

from exporter_pipelines import settings
from exporter_pipelines.extras import MissingExtraError
from exporter_pipelines.notifications.message import Message
from exporter_pipelines.notifications.receivers import open_receivers, send_all


@click.command("alert-test")
def alert_test() -> None:
    """Send a test message to every receiver in EXPORTER_ALERT_URLS, and say who took it.

    Receivers are called by their position and service; their URLs are secrets. See docs/alerts.md.

    \b
    Exit codes:
      0  all took it
      1  one did not, or there are none
      2  the command was used wrongly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    try:
        receivers = open_receivers(settings.alert_urls())
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    if not receivers:
        raise click.ClickException(
            "EXPORTER_ALERT_URLS is empty. Put Apprise URLs there, in .env: see docs/alerts.md."
        )
    text = f"This is a test. Links will lead to {settings.ui_url()}."
    message = Message("[exporter] test", text, "success")
    problems = send_all({receiver: message for receiver in receivers if receiver.usable})
    for receiver in receivers:
        unusable = "is not a URL that Apprise knows"
        problem = problems[receiver] if receiver.usable else unusable
        click.echo(f"{receiver.label}  {problem or 'took the message'}")
    took = sum(problem is None for problem in problems.values())
    click.echo(f"{took} of {len(receivers)} receivers took the message.")
    raise SystemExit(took < len(receivers))
