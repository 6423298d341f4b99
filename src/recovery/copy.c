/* See walship/recovery/copy.h. */
#include "walship/recovery/copy.h"

#include <string.h>

#include "server_files.h"
#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/pg/programs.h"
#include "walship/recovery/staged_wal.h"

#define DEFAULT_PORT 5432

/* Where the recovery stops, as near as the plan knows it. */
static XLogRecPtr
planned_stop(const RecoveryPlan *plan)
{
	if (plan->target.kind == TARGET_LATEST)
		return InvalidXLogRecPtr;
	if (plan->target.kind == TARGET_LSN)
		return plan->target.lsn;
	return plan->stop.lsn != InvalidXLogRecPtr ? plan->stop.lsn : plan->last.lsn;
}

Error *
copy_prepare(const Recovery *recovery, const CopyOptions *options, PrivateServer *server)
{
	const RecoveryPlan *plan = recovery->plan;
	ServerNote *note = &server->note;

	server->pgdata = recovery->pgdata;
	server->kept = options->kept;
	server->fence = options->fence;
	note->major = plan->backup->server_version / 10000;
	note->port = options->port > 0 ? (uint64_t) options->port : DEFAULT_PORT;
	note->listens = options->port > 0;
	note->libraries = mem_strdup(options->libraries);
	note->backup = mem_strdup(plan->backup->id);
	note->timeline = plan->timeline;
	note->stop_lsn = planned_stop(plan);
	for (size_t i = 0; i < recovery->directories.count; i++)
		strlist_add(&note->tablespaces, recovery->directories.items[i]);
	return programs_find(options->programs, note->major, &note->programs);
}

Error *
copy_stage_wal(const Recovery *recovery, uint64_t wal_max, PrivateServer *server)
{
	AUTO_FREE char *directory = private_server_wal_directory(server->pgdata);
	AUTO_MAPPINGS mappings = {0};
	StagedWal staged = {.store = recovery->store,
	                    .catalog = recovery->catalog,
	                    .identities = recovery->identities,
	                    .plan = recovery->plan,
	                    .pgdata = server->pgdata,
	                    .tablespaces = {.rule = TABLESPACES_MAPPED, .mappings = &mappings},
	                    .directory = directory,
	                    .taken = !server->kept,
	                    .jobs = recovery->jobs,
	                    .on_bytes = recovery->on_bytes,
	                    .on_bytes_context = recovery->on_bytes_context};
	uint64_t room;

	created_mappings(recovery, &mappings);
	TRY(private_server_prepare(server));

	/* A copy that is moved on replays its WAL again, from its last restartpoint: it has all of it. */
	if (server->kept)
		return staged_wal_fetch(&staged);
	TRY(staged_wal_room(directory, &room));

	uint64_t window =
		wal_window_size(staged_wal_size(recovery->plan), room, wal_max, recovery->catalog->segment_size);

	return window == 0 ? staged_wal_fetch(&staged)
	                   : wal_window_open(&staged, &mappings, window, &server->window);
}

Error *
copy_start(PrivateServer *server, ServerProgress *ret_progress)
{
	Error *error = private_server_start(server);

	*ret_progress = (ServerProgress){.consistent_ms = -1};
	if (error == NULL)
		error = private_server_wait(server, ret_progress);
	wal_window_free(MOVE(server->window));
	if (error != NULL)
		error_free(private_server_stop(server));
	return error;
}

Error *
copy_prepare_forward(Recovery *recovery, PrivateServer *server)
{
	AUTO_FREE char *signal_file = path_join(recovery->pgdata, "recovery.signal");

	server->pgdata = recovery->pgdata;
	server->kept = true;
	TRY(server_note_read(recovery->pgdata, &server->note));
	server->fence = server->note.no_network ? FENCE_AUTO : FENCE_OFF;
	if (!file_exists(signal_file))
		return error_hint(
			error_new(ERR_USAGE, "the copy in directory \"%s\" has been promoted", recovery->pgdata),
			"It has a history of its own now. Recover anew to the later target, into another directory.");
	recovery->request.backup_id = server->note.backup;
	if (recovery->request.timeline == 0)
		recovery->request.timeline = server->note.timeline;
	return NULL;
}

Error *
copy_check_forward(Recovery *recovery, const PrivateServer *server)
{
	XLogRecPtr stop = planned_stop(recovery->plan);
	XLogRecPtr at = server->note.stop_lsn;
	PgControl control;
	char at_text[LSN_TEXT_SIZE];
	char stop_text[LSN_TEXT_SIZE];

	TRY(pgdata_read_control(recovery->pgdata, &control));

	/*
	 * The record at which it stopped is the last one it has replayed, and
	 * pg_control cannot be beyond its end; only if somebody moved it on is it.
	 */
	if (control.min_recovery_point > at + recovery->plan->segment_size)
		at = control.min_recovery_point;
	if (recovery->plan->target.kind == TARGET_LATEST || stop >= at)
		return NULL;
	recovery->unreachable = true;
	return error_hint(
		error_new(ERR_NOT_FOUND, "the copy in directory \"%s\" is at %s, beyond the target at %s",
	              recovery->pgdata, lsn_format(at, at_text), lsn_format(stop, stop_text)),
		"A copy only goes forward. For an earlier target recover anew, into another directory.");
}

Error *
copy_forward(Recovery *recovery, PrivateServer *server, ServerProgress *ret_progress)
{
	server->note.stop_lsn = planned_stop(recovery->plan);
	for (size_t i = 0; i < recovery->directories.count; i++)
		if (!strlist_contains(&server->note.tablespaces, recovery->directories.items[i]))
			strlist_add(&server->note.tablespaces, recovery->directories.items[i]);

	/* While it still runs: what is missing is told before anything changes. */
	TRY(copy_stage_wal(recovery, 0, server));
	TRY(private_server_stop_in(server->pgdata));
	TRY(settings_file_write_forward(recovery));
	return copy_start(server, ret_progress);
}

/* Of a tablespace the server owns "PG_<major>_<catalog version>" alone. */
static Error *
clear_tablespace(const char *directory, int major)
{
	AUTO_STRLIST names = {0};
	AUTO_FREE char *ours = mem_printf("PG_%d_", major);
	Error *error = dir_list(directory, &names);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(directory, names.items[i]);

		if (str_starts_with(names.items[i], ours))
			TRY(dir_remove_tree(path, false));
	}
	return NULL;
}

Error *
copy_stop(const char *pgdata, bool remove)
{
	AUTO_NOTE note = {0};

	TRY(server_note_read(pgdata, &note));
	TRY(private_server_stop_in(pgdata));
	if (!remove)
		return NULL;
	for (size_t i = 0; i < note.tablespaces.count; i++)
		TRY(clear_tablespace(note.tablespaces.items[i], note.major));
	TRY(wal_directory_clear(pgdata));
	TRY(private_server_clear(pgdata));
	return dir_remove_tree(pgdata, false);
}
