"""`dlq`: find the cause of dead letters, mend it, replay them, and prove it."""

from __future__ import annotations

import typer

from stream_processor.cli import (
    dlq_erase,
    dlq_export,
    dlq_list,
    dlq_purge,
    dlq_replay,
    dlq_settle,
    dlq_show,
    dlq_stats,
)

app = typer.Typer(
    help="Find out why events became dead letters, and put them right.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

app.command("list", short_help="Show what is broken, by its causes.")(dlq_list.list_)
app.command("show", short_help="Show why one failed, or one group.")(dlq_show.show)
app.command("stats", short_help="Count them per day, stage and code.")(dlq_stats.stats)
app.command("ignore", short_help="Set them aside.")(dlq_settle.ignore)
app.command("reopen", short_help="Undo ignore.")(dlq_settle.reopen)
app.command("export", short_help="Write them to a file, as events or as tests.")(dlq_export.export)
app.command("replay", short_help="Write them by today's rules, exactly once.")(dlq_replay.replay)
app.command("purge", short_help="Move old ones into the archive.")(dlq_purge.purge)
app.command("erase", short_help="Remove one event from everything.")(dlq_erase.erase)
