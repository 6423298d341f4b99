/* The order of a verify; see walship/upkeep/verify.h. */
#include "walship/upkeep/verify.h"

#include "verify_steps.h"
#include "walship/base/mem.h"

static Error *
read_catalog(Verify *verify)
{
	catalog_free(verify->catalog);
	verify->catalog = NULL;
	return catalog_read(verify->store, verify->system_identifier, verify->jobs, &verify->catalog);
}

static const BackupRecord *
asked_backup(const Verify *verify)
{
	for (size_t i = 0; i < verify->catalog->n_backups; i++)
		if (str_equal(verify->catalog->backups[i]->id, verify->backup))
			return verify->catalog->backups[i];
	return NULL;
}

/* One whose record is damaged or missing has its findings, too. */
static Error *
check_backup_exists(const Verify *verify)
{
	AUTO_FREE char *damaged = mem_printf("%s: ", verify->backup == NULL ? "" : verify->backup);
	const Catalog *catalog = verify->catalog;

	if (verify->backup == NULL || asked_backup(verify) != NULL ||
	    strlist_contains(&catalog->unfinished, verify->backup))
		return NULL;
	for (size_t i = 0; i < catalog->damaged.count; i++)
		if (str_starts_with(catalog->damaged.items[i], damaged))
			return NULL;
	return error_hint(error_new(ERR_NOT_FOUND, "there is no backup \"%s\"", verify->backup),
	                  "\"walship list\" shows them.");
}

/* Of WAL, one backup alone needs its own, where it does not bring it along. */
static bool
is_of_others(void *context, const Finding *finding)
{
	const Verify *verify = context;
	const BackupRecord *backup = asked_backup(verify);
	uint32_t size = verify->catalog->segment_size;

	if (finding->wal.timeline == 0)
		return !str_equal(finding->backup, verify->backup);
	return backup == NULL || backup->wal_inside || finding->object != FINDING_OF_SEGMENT ||
	       finding->wal.timeline != backup->timeline ||
	       finding->wal.last < lsn_segment(backup->start_lsn, size) ||
	       finding->wal.first > lsn_segment_before(backup->stop_lsn, size);
}

static Error *
look_at_lists(Verify *verify)
{
	TRY(verify_backups(verify));
	TRY(verify_forget_removed(verify));

	/* What planners go by: a backup that lacks parts is none. */
	TRY(catalog_look_at_parts(verify->store, verify->system_identifier, verify->catalog->backups,
	                          verify->catalog->n_backups));
	if (verify->backup == NULL)
	{
		TRY(verify_named(verify));
		TRY(verify_small(verify));
		TRY(verify_histories(verify));
	}
	verify_segment_sizes(verify);
	if (verify->backup == NULL)
		verify_expect_backup(verify);
	return verify_windows(verify);
}

/* The lists come last: what was removed while contents were read is not missing there. */
Error *
verify_run(Verify *verify)
{
	verify->now = clock_now();
	TRY(read_catalog(verify));
	TRY(check_backup_exists(verify));
	if (verify->deep)
	{
		TRY(verify_choose_slice(verify));
		verify_find_place(verify);
		TRY(verify_deep(verify));
		TRY(read_catalog(verify));
		verify_forget_place(verify);
	}
	TRY(look_at_lists(verify));
	if (verify->backup != NULL)
	{
		verify_drop_findings(verify, is_of_others, verify);
		window_list_release(&verify->windows);
	}
	verify_sort_findings(verify);
	return verify_apply_known(verify);
}
