/* What "walship verify" shows. */
#include "print_verify.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define VERIFY_FORMAT  1
#define FINDINGS_SHOWN 1000
#define KINDS_TEXT_MAX 512

static void
print_verdict(const Verify *verify, FILE *into)
{
	const VerifyCounts *counts = &verify->counts;
	AUTO_BUF(kinds, KINDS_TEXT_MAX);
	char size[SIZE_TEXT_SIZE];

	for (int kind = 0; kind < N_FINDING_KINDS; kind++)
	{
		uint64_t count = verify_count(verify, (FindingKind) kind);

		if (count > 0)
			buf_printf(&kinds, "%s%" PRIu64 " %s", kinds.size > 0 ? ", " : "", count,
			           finding_kind_text((FindingKind) kind));
	}
	if (verify_passed(verify))
		print_line(into, verify->deep ? "OK: nothing is missing, and what was read is as it should be."
		                              : "OK: nothing is missing, by names, sizes and seals.");
	else
		print_line(into, "NOT WELL: %" PRIu64 " finding%s (%s).", verify->findings.found,
		           verify->findings.found == 1 ? "" : "s", kinds.data);
	print_line(into,
	           "Looked at %" PRIu64 " backup%s with %" PRIu64 " objects, %" PRIu64 " WAL segment%s, %" PRIu64
	           " history file%s: %s.",
	           counts->backups, counts->backups == 1 ? "" : "s", counts->objects, counts->segments,
	           counts->segments == 1 ? "" : "s", counts->histories, counts->histories == 1 ? "" : "s",
	           size_format(counts->stored_size, size));
	if (counts->dumps + counts->file_sets > 0)
		print_line(into, "Among the objects are those of %" PRIu64 " dumps and %" PRIu64 " sets of files.",
		           counts->dumps, counts->file_sets);
	if (verify->deep)
		print_line(into, "Read %" PRIu64 " objects and %" PRIu64 " segments: %s.", verify->reads.objects,
		           verify->reads.segments, size_format(verify->reads.stored_size, size));
	if (verify->choice.rotate > 0)
		print_line(into, "That was part %d of %d; the next run reads the next one.", verify->choice.slice + 1,
		           verify->choice.rotate);
	if (verify->reads.locked > 0)
		print_line(into, "Of %" PRIu64 " of these only the stored bytes: this host cannot decrypt them.",
		           verify->reads.locked);
}

static void
print_finding(const Verify *verify, const Finding *finding, FILE *into)
{
	uint32_t size = verify->catalog->segment_size;
	AUTO_FREE char *what = mem_strdup(finding->key);
	AUTO_FREE char *whose =
		finding->backup == NULL ? mem_strdup("") : mem_printf(" (backup %s)", finding->backup);
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	if (finding->kind == FINDING_GAP)
	{
		(void) wal_segment_name(finding->wal.timeline, finding->wal.first, size, first);
		(void) wal_segment_name(finding->wal.timeline, finding->wal.last, size, last);
		free(what);
		what =
			finding->wal.first == finding->wal.last ? mem_strdup(first) : mem_printf("%s to %s", first, last);
	}
	print_line(into, "%s %s %s%s: %s. %s", finding_kind_text(finding->kind),
	           finding_object_text(finding->object), what, whose, finding->reason, finding->remedy);
}

static void
print_findings(const Verify *verify, FILE *into)
{
	for (size_t i = 0; i < verify->findings.count && i < FINDINGS_SHOWN; i++)
		if (!verify->findings.items[i].acknowledged)
			print_finding(verify, &verify->findings.items[i], into);
	if (verify->findings.found > FINDINGS_SHOWN)
		print_line(into, "and %" PRIu64 " more: --json", verify->findings.found - FINDINGS_SHOWN);
	for (size_t i = 0; i < verify->notes.count; i++)
		print_line(into, "note: %s.", verify->notes.items[i]);
}

/* Between two windows nothing can be recovered. */
static void
print_windows(const Verify *verify, FILE *into)
{
	AUTO(Table) table = table_new(">timeline||from|to (latest commit)|from LSN|to LSN|first backup");

	for (size_t i = 0; i < verify->windows.n_timelines; i++)
	{
		const TimelineWindows *windows = &verify->windows.timelines[i];

		for (size_t j = 0; j < windows->n_windows; j++)
		{
			const RecoveryWindow *window = &windows->windows[j];

			if (j > 0)
			{
				table_cell(table, "%" PRIu32, windows->timeline);
				table_cell(table, "HOLE");
				table_time(table, window[-1].to_time);
				table_time(table, window->from_time);
				table_lsn(table, window[-1].to_lsn);
				table_lsn(table, window->from_lsn);
				table_cell(table, "-");
			}
			table_cell(table, "%" PRIu32, windows->timeline);
			table_cell(table, "window");
			table_time(table, window->from_time);
			table_time(table, window->to_time);
			table_lsn(table, window->from_lsn);
			table_lsn(table, window->to_lsn);
			table_cell(table, "%s", window->backup->id);
		}
	}
	if (table_rows(table) == 0 && (verify->backup != NULL || verify->counts.segments == 0))
		return;
	if (table_rows(table) == 0)
	{
		(void) fputs("\nNothing can be recovered.\n", into);
		return;
	}
	(void) fputs("\nRecoverable:\n", into);
	table_print(table, "", into);
}

void
print_verify_text(const Verify *verify, FILE *into)
{
	print_verdict(verify, into);
	print_findings(verify, into);
	print_windows(verify, into);
}

void
print_verify_json(const Verify *verify, FILE *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, verify->system_identifier);

	json_add_int(root, "format", VERIFY_FORMAT);
	json_add_string(root, "system", system);
	json_add_time(root, "time", verify->now);
	json_add_bool(root, "passed", verify_passed(verify));
	if (verify->choice.rotate > 0)
	{
		json_add_int(root, "rotate", verify->choice.rotate);
		json_add_int(root, "slice", verify->choice.slice);
	}
	verify_put(verify, root);
	print_object(root, into);
}
