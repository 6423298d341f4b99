/* What has happened, and what is to be done, step by step: the chapters of a runbook. */
#include "runbook_steps.h"
#include "walship/base/mem.h"

#define TARGET_TIME "\"DATE TIME+ZONE\""

/* recover --start puts it there, and says so. */
#define COPY_CONNECTION "-h %s/walship_server -p 5432"

void
runbook_write_beginning(RunbookWriter *writer)
{
	runbook_heading(writer, "Before anything else");
	runbook_step(
		writer,
		"**Do not start, restart or delete anything.** What the old server has not archived lies in its `pg_wal`.");
	runbook_step(writer, "Write down the time, with its zone, of the accident, and of what you do.");
	runbook_step(writer, "Become the server's user; all commands below are his:");
	runbook_line(writer, "sudo -iu postgres");
	runbook_step(writer, "Up to when can be recovered, and how fresh is it?");
	runbook_walship(writer, "list");
	runbook_step(writer, "Every recovery below can be asked first, and touches nothing then: add `--plan`.");
}

static void
end_copy(RunbookWriter *writer)
{
	runbook_step(writer, "End the copy, and remove it:");
	runbook_walship(writer, "recover --stop --remove --pgdata %s", writer->copy);
}

static void
write_dropped(RunbookWriter *writer)
{
	runbook_heading(writer, "A table was dropped, or emptied");
	runbook_text(writer, "The server goes on running. What is lost comes from a copy beside it.");
	runbook_step(
		writer, "Have what is newest archived, then look when it was. A TRUNCATE stands among the rewrites.");
	runbook_line(writer, "psql -c 'SELECT pg_switch_wal()'");
	runbook_walship(writer, "find");
	runbook_walship(writer, "find --rewrites");
	runbook_step(writer, "Make a copy as of just before it. The transaction is as `find` has printed it:");
	runbook_walship(writer, "recover --before-drop xid:XID --start --pgdata %s%s", writer->copy, writer->map);
	runbook_step(writer,
	             "Bring the table back. Where the copy listens is what the step before has printed last:");
	runbook_line(writer, "pg_dump " COPY_CONNECTION " -t TABLE DATABASE | psql DATABASE", writer->copy);
	end_copy(writer);
}

static void
write_deleted(RunbookWriter *writer)
{
	runbook_heading(writer, "Rows were deleted or changed");
	runbook_step(writer, "Keep people from writing more into that table. Nothing else has to stop.");
	runbook_step(writer,
	             "Which transaction was it? Mostly the one with by far the most records at that time.");
	runbook_line(writer, "psql -c 'SELECT pg_switch_wal()'");
	runbook_walship(writer, "find --commits --since " TARGET_TIME);
	runbook_step(writer, "Make a copy as of just before it:");
	runbook_walship(writer, "recover --before xid:XID --start --pgdata %s%s", writer->copy, writer->map);
	runbook_step(
		writer,
		"Bring back the rows that are gone; the table needs a primary key. What was changed, compare and correct by "
		"hand.");
	runbook_line(
		writer,
		"pg_dump " COPY_CONNECTION
		" --data-only --on-conflict-do-nothing --rows-per-insert=1000 -t TABLE DATABASE | psql DATABASE",
		writer->copy);
	end_copy(writer);
}

static void
write_copy(RunbookWriter *writer)
{
	runbook_heading(writer, "A copy to look at, as of any moment");
	runbook_step(writer, "Make it; it does not archive, and waits at its target:");
	runbook_walship(writer, "recover --target-time " TARGET_TIME " --start --pgdata %s%s", writer->copy,
	                writer->map);
	runbook_step(writer, "Look. It can be read only; never call `pg_wal_replay_resume()` in it.");
	runbook_line(writer, "psql " COPY_CONNECTION " DATABASE", writer->copy);
	runbook_step(writer, "Go on to a later moment. An earlier one needs a new copy.");
	runbook_walship(writer, "recover --forward --target-time " TARGET_TIME " --pgdata %s", writer->copy);
	end_copy(writer);
}

static void
write_all_wrong(RunbookWriter *writer)
{
	runbook_heading(writer, "The server is there, and everything in it is wrong");
	runbook_step(writer, "Stop it:");
	runbook_line(writer, "%s", writer->stop);
	runbook_step(writer, "Put an earlier moment into its place. First only asked, then done:");
	runbook_walship(writer, "recover --target-time " TARGET_TIME " --rejoin --move-aside --plan --pgdata %s",
	                writer->pgdata);
	runbook_walship(writer, "recover --target-time " TARGET_TIME " --rejoin --move-aside --pgdata %s",
	                writer->pgdata);
	runbook_step(
		writer,
		"Start it, by the line that was printed last. The old directory stays, renamed; how to undo it was printed, "
		"too.");
}

void
runbook_write_accidents(RunbookWriter *writer)
{
	write_dropped(writer);
	write_deleted(writer);
	write_copy(writer);
	write_all_wrong(writer);
}

/* ---- the machine ---- */

/* As root, before anything is recovered. */
static void
write_preparations(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;

	runbook_step(
		writer,
		"If the old disk can still be read, save its `pg_wal` first: what was not archived is only there.");
	runbook_step(
		writer,
		"Install PostgreSQL %s, its extensions, and walship as `%s`. A server that a package has started is to be "
		"stopped.",
		writer->major, facts->program == NULL ? "/usr/local/bin/walship" : facts->program);
	const char *key = facts->passphrase_file != NULL ? facts->passphrase_file : facts->identity_file;

	runbook_step(
		writer,
		"Put back what is kept away: `%s` (owner root, group postgres, mode 0640), the key as `%s` (owner "
		"postgres, mode 0600), the credentials, and PostgreSQL's configuration. Then, as root:",
		writer->settings, key == NULL ? "KEY-FILE" : key);
	runbook_line(writer, "install -d -o postgres -g postgres -m 0700 %s",
	             facts->state_dir == NULL ? "/var/lib/walship" : facts->state_dir);
	for (size_t i = 0; i < facts->tablespaces.count; i++)
	{
		AUTO_FREE char *quoted = str_shell_quote(facts->tablespaces.items[i]);

		runbook_line(writer, "install -d -o postgres -g postgres -m 0700 %s", quoted);
	}
}

void
runbook_write_new_machine(RunbookWriter *writer)
{
	runbook_heading(writer, "The server's machine is lost");
	runbook_text(writer, "On the new machine:");
	write_preparations(writer);
	runbook_step(writer, "As the server's user: can the store be read from here, and up to when is it?");
	runbook_walship(writer, "list");
	runbook_step(
		writer,
		"Recover. First only asked, then done; an empty cluster that a package has made is moved aside:");
	runbook_walship(writer, "recover --latest --rejoin --move-aside --plan --pgdata %s", writer->pgdata);
	runbook_walship(writer, "recover --latest --rejoin --move-aside --pgdata %s", writer->pgdata);
	runbook_step(writer, "If the old `pg_wal` was saved, add what the store lacks, **before** the start:");
	runbook_line(writer, "cp -n SAVED-PG-WAL/0* %s/pg_wal/", writer->pgdata);
	runbook_step(
		writer,
		"Start the server, by the line that `recover` has printed last, and wait until this says `f`:");
	runbook_line(writer, "psql -c 'SELECT pg_is_in_recovery()'");
	runbook_step(
		writer,
		"Is it archived again? Then a backup, and the timers (`contrib/systemd`) or the lines in cron.");
	runbook_walship(writer, "check --pgdata %s", writer->pgdata);
	runbook_walship(writer, "backup --progress none");
	runbook_step(writer, "Lead the applications here: CONNECTION-STRING, DNS-NAME, WHO.");
}

void
runbook_write_failover(RunbookWriter *writer)
{
	runbook_heading(writer, "Failover to a standby");
	runbook_step(writer, "The old primary must be down, for good. On its machine, if that can be reached:");
	runbook_line(writer, "%s", writer->stop);
	runbook_step(writer, "On the standby's machine:");
	runbook_line(writer, "psql -c 'SELECT pg_promote()'");
	runbook_step(writer, "Does the new timeline archive? Then take a backup of it.");
	runbook_walship(writer, "list --verbose");
	runbook_walship(writer, "backup --progress none");
	runbook_step(writer,
	             "**The old primary must not come back as it is.** Make it a standby of the new one:");
	runbook_walship(writer,
	                "recover --standby --primary-conninfo \"host=NEW user=ROLE\" --move-aside --pgdata %s",
	                writer->pgdata);
}

/* ---- the store ---- */

static void
write_unreachable_store(RunbookWriter *writer)
{
	runbook_heading(writer, "The store cannot be reached");
	runbook_text(
		writer,
		"The server goes on; WAL waits in `pg_wal`, which grows. **Do not remove anything in it.** How much room is "
		"left, `check` says. The provider's status page: URL.");
	if (writer->second == NULL)
		return;
	runbook_text(
		writer,
		"A recovery meanwhile, from the second store, is any of the recoveries above with `--store=%s`:",
		writer->second);
	runbook_step(writer, "Up to when does it go?");
	runbook_walship_second(writer, "list");
}

void
runbook_write_lost_store(RunbookWriter *writer)
{
	write_unreachable_store(writer);
	runbook_heading(writer, "The store is lost");
	if (writer->second == NULL)
		runbook_text(
			writer,
			"**There is no second store: nothing from before the loss can be recovered.** So the server that runs is all "
			"there is.");
	else
		runbook_text(writer, "What was archived since the last `copy` is not in the second store.");
	runbook_step(writer, "Stop nothing, and remove nothing in `pg_wal`.");
	if (writer->second != NULL)
	{
		runbook_step(writer, "If the server is lost, too, recover from the second store:");
		runbook_walship_second(writer, "recover --latest --rejoin --move-aside --pgdata %s", writer->pgdata);
	}
	runbook_step(
		writer,
		"Make a new bucket or directory elsewhere, write it into `%s` as `store`, and look whether it can be written "
		"(`--create` is for directories, once):",
		writer->settings);
	runbook_walship(writer, "check --store-only --create --pgdata %s", writer->pgdata);
	if (writer->second != NULL)
	{
		runbook_step(writer, "Bring back what the second store has:");
		runbook_walship(writer, "copy --from %s", writer->second);
	}
	runbook_step(writer, "Take a backup at once, and look at everything:");
	runbook_walship(writer, "backup --progress none");
	runbook_walship(writer, "check --pgdata %s", writer->pgdata);
}

void
runbook_write_lost_key(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;

	runbook_heading(writer, "The key is lost, or got out");
	if (!writer->blank && facts->recipients == NULL && facts->keys == NULL)
	{
		runbook_text(writer, "Nothing is encrypted: whoever can read the store can read everything in it.");
		return;
	}
	runbook_text(
		writer,
		"Lost: nothing that was encrypted for it alone can be read again; another key of `recipients` still opens it. "
		"The server that runs is then all there is. Got out: what is stored already stays readable for whoever has it "
		"and can read the store.");
	runbook_step(writer, "Make a new key, and keep it away from this machine, too:");
	runbook_walship(writer, "key new NEW-KEY-FILE");
	runbook_step(
		writer,
		"Put what it has printed into `recipients` in `%s`, in place of the old one. A key that got out stays in "
		"`identity_file` as long as anything is encrypted for it.",
		writer->settings);
	runbook_step(writer, "Take a backup at once: from it on everything can be recovered with the new key.");
	runbook_walship(writer, "backup --progress none");
	runbook_step(writer, "Of a key that got out: change the credentials of the store, as well.");
}

void
runbook_write_end(RunbookWriter *writer)
{
	runbook_heading(writer, "Afterwards");
	runbook_text(
		writer,
		"Write down what happened, how long it took, and what this page did not say. Make the page anew.");
}
