"""`exporter alert-test`: the command; messages and receivers are in `notifications`."""

from __future__ import annotations

import click

from exporter_pipelines import alert_settings, dotenv_file, settings
from exporter_pipelines.extras import MissingExtraError
from exporter_pipelines.notifications.message import Message
from exporter_pipelines.notifications.receivers import open_receivers, send_all


@click.command("alert-test")
def alert_test() -> None:
    """Send a test message to every receiver in EXPORTER_ALERT_URLS.

    Prints which receivers accepted it. Receivers are named by position and service, because their
    URLs are secret. See docs/alerts.md.

    \b
    Exit codes:
      0  all receivers accepted the message
      1  a receiver did not, or there are no receivers
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    try:
        receivers = open_receivers(alert_settings.alert_urls())
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    if not receivers:
        raise click.ClickException(
            "EXPORTER_ALERT_URLS is empty. Set it in .env to Apprise URLs: see docs/alerts.md."
        )
    text = f"This is a test message. Links in alerts lead to {settings.ui_url()}."
    message = Message("[exporter] test", text, "success")
    problems = send_all({receiver: message for receiver in receivers if receiver.usable})
    for receiver in receivers:
        unusable = "is not a valid Apprise URL"
        problem = problems[receiver] if receiver.usable else unusable
        click.echo(f"{receiver.label}  {problem or 'accepted the message'}")
    accepted = sum(problem is None for problem in problems.values())
    click.echo(f"{accepted} of {len(receivers)} receivers accepted the message.")
    raise SystemExit(accepted < len(receivers))
