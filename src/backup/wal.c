/* One thread, one connection: from START_REPLICATION to wal-0001.tar. */
#include "wal.h"

#include <pthread.h>

#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/server.h"
#include "walship/pg/wal_stream.h"
#include "walship/wal/page.h"

/*
 * The first attempt uses a slot.  The server may take it away
 * (max_slot_wal_keep_size), or have none to give: the second one goes on without
 * it, the third begins anew where the backup starts.
 */
#define ATTEMPTS_MAX     3
#define MESSAGE_WAIT_MS  200   /* also how soon it is noticed that the backup gave up */
#define STATUS_PERIOD_MS 5000  /* well below any sensible wal_sender_timeout */
#define STALL_MAX_MS     60000 /* without progress towards a known stop position */

struct BackupWal
{
	BackupWalOptions options;
	pthread_t thread;
	bool has_thread;

	/* The thread's alone until it has ended. */
	PartList parts;
	WalTar *tar;          /* NULL until it is known where to begin */
	XLogRecPtr keep_from; /* the tar's first byte */
	XLogRecPtr position;  /* of the next byte to come: before keep_from while nothing is kept yet */
	bool store_failed;

	pthread_mutex_t mutex; /* over what follows */
	pthread_cond_t changed;
	CancelWaiter waiter;
	bool ready; /* streaming, or holding WAL by a slot, or ended */
	bool ended;
	bool abandoned;
	Error *failure;
	XLogRecPtr start_lsn;
	XLogRecPtr stop_lsn;
	int64_t stop_known_ms;
};

static void
set_ready(BackupWal *wal)
{
	(void) pthread_mutex_lock(&wal->mutex);
	wal->ready = true;
	(void) pthread_cond_broadcast(&wal->changed);
	(void) pthread_mutex_unlock(&wal->mutex);
}

static Error *
abandoned_error(void)
{
	return error_new(ERR_CANCELLED, "backup was given up");
}

/* From here on the backup may begin: it is what is waited for. */
static Error *
wait_for_start(BackupWal *wal, XLogRecPtr *ret_start_lsn)
{
	set_ready(wal);
	(void) pthread_mutex_lock(&wal->mutex);
	while (wal->start_lsn == InvalidXLogRecPtr && !wal->abandoned && !cancel_requested())
		(void) pthread_cond_wait(&wal->changed, &wal->mutex);
	*ret_start_lsn = wal->start_lsn;
	(void) pthread_mutex_unlock(&wal->mutex);

	TRY(cancel_check());
	return *ret_start_lsn == InvalidXLogRecPtr ? abandoned_error() : NULL;
}

/* Failures of the store are final: a part cannot be continued after one. */
static Error *
store_result(BackupWal *wal, Error *error)
{
	if (error != NULL)
		wal->store_failed = true;
	return error;
}

static Error *
begin_tar(BackupWal *wal, Server *server, XLogRecPtr keep_from)
{
	const BackupWalOptions *options = &wal->options;
	AUTO_FREE char *history = NULL;
	size_t history_size = 0;

	/* The server that will replay this WAL needs to know the way to its timeline. */
	if (options->timeline != 1)
		TRY(server_timeline_history(server, options->timeline, &history, &history_size));
	wal->keep_from = keep_from;
	wal->tar = wal_tar_new(part_writer_new(options->target, "wal", &wal->parts), options->timeline, keep_from,
	                       options->segment_size);
	if (history == NULL)
		return NULL;
	return store_result(wal, wal_tar_add_history(wal->tar, history, history_size));
}

/* From the segment where the backup starts, once that is known; dropping what was kept before. */
static Error *
begin_at_start(BackupWal *wal, Server *server)
{
	uint32_t segment_size = wal->options.segment_size;
	XLogRecPtr start_lsn;

	TRY(wait_for_start(wal, &start_lsn));
	wal->position = segment_start(lsn_segment(start_lsn, segment_size), segment_size);
	wal_tar_free(MOVE(wal->tar));
	part_list_remove(wal->options.target, &wal->parts, &(Notices){0});
	part_list_release(&wal->parts);
	return begin_tar(wal, server, wal->position);
}

static Error *
begin(BackupWal *wal, Server *server, int attempt)
{
	uint32_t segment_size = wal->options.segment_size;
	XLogRecPtr from = wal->options.from;
	XLogRecPtr segment = segment_start(lsn_segment(from, segment_size), segment_size);
	bool at_beginning = from - segment <= WAL_LONG_HEADER_SIZE;

	/* The last attempt, if nothing else helped, is content with what the backup needs. */
	if (attempt == ATTEMPTS_MAX - 1)
	{
		XLogRecPtr start_lsn;

		TRY(wait_for_start(wal, &start_lsn));
		if (wal->tar == NULL || wal->position < start_lsn)
			return begin_at_start(wal, server);
	}
	if (wal->tar != NULL)
		return NULL;
	if (from == InvalidXLogRecPtr)
		return begin_at_start(wal, server);

	/*
	 * A primary begins a backup by a switch to a new segment (PostgreSQL: xlog.c,
	 * do_pg_backup_start), unless it stands at the beginning of one: what remains
	 * of the segment where it stands now is received, so that a slot moves on, but
	 * not kept.
	 */
	wal->position = at_beginning ? segment : from;
	return begin_tar(wal, server, at_beginning ? segment : segment + segment_size);
}

static Error *
confirm(BackupWal *wal, Server *server)
{
	XLogRecPtr position = wal->position;

	return wal_stream_confirm(server, position, wal->options.confirm ? position : InvalidXLogRecPtr, false);
}

/* ERR_TRANSIENT when the stop position is known and does not come nearer. */
static Error *
check_state(BackupWal *wal, int64_t last_progress_ms, bool *ret_done)
{
	(void) pthread_mutex_lock(&wal->mutex);
	bool abandoned = wal->abandoned;
	XLogRecPtr stop_lsn = wal->stop_lsn;
	int64_t since = wal->stop_known_ms > last_progress_ms ? wal->stop_known_ms : last_progress_ms;
	(void) pthread_mutex_unlock(&wal->mutex);

	*ret_done = stop_lsn != InvalidXLogRecPtr && wal->position >= stop_lsn;
	if (abandoned)
		return abandoned_error();
	if (!*ret_done && stop_lsn != InvalidXLogRecPtr && clock_monotonic_ms() - since > STALL_MAX_MS)
	{
		char position[LSN_TEXT_SIZE];
		char stop[LSN_TEXT_SIZE];

		return error_new(ERR_TRANSIENT, "WAL stream stands still at %s, before the backup's end at %s",
		                 lsn_format(wal->position, position), lsn_format(stop_lsn, stop));
	}
	return NULL;
}

static Error *
take_message(BackupWal *wal, const WalMessage *message)
{
	char expected[LSN_TEXT_SIZE];
	char found[LSN_TEXT_SIZE];

	if (message->ended)
		return error_new(ERR_TRANSIENT, "the server ended the WAL stream at %s",
		                 lsn_format(wal->position, expected));
	if (message->size == 0)
		return NULL;
	if (message->lsn != wal->position)
		return error_new(ERR_TRANSIENT, "WAL stream jumped from %s to %s",
		                 lsn_format(wal->position, expected), lsn_format(message->lsn, found));

	uint64_t before = wal->position < wal->keep_from ? wal->keep_from - wal->position : 0;
	size_t skipped = before < message->size ? (size_t) before : message->size;

	wal->position += message->size;
	return store_result(wal, wal_tar_write(wal->tar, message->data + skipped, message->size - skipped));
}

static Error *
receive_to_stop(BackupWal *wal, Server *server)
{
	int64_t progress_ms = clock_monotonic_ms();
	int64_t status_ms = progress_ms;
	bool done = false;

	for (;;)
	{
		WalMessage message;

		TRY(check_state(wal, progress_ms, &done));
		if (done)
			break;
		TRY(wal_stream_next(server, MESSAGE_WAIT_MS, &message));
		TRY(take_message(wal, &message));

		int64_t now = clock_monotonic_ms();

		if (message.size > 0)
			progress_ms = now;
		if (message.size > 0 || message.reply_wanted || now - status_ms > STATUS_PERIOD_MS)
		{
			TRY(confirm(wal, server));
			status_ms = now;
		}
	}
	error_free(wal_stream_stop(server)); /* all that matters is there */
	return NULL;
}

static Error *
stream_once(BackupWal *wal, int attempt)
{
	const BackupWalOptions *options = &wal->options;
	AUTO(Server) server = NULL;
	ServerIdentity identity;
	WalSlot slot = WAL_SLOT_NONE;

	/* PGHOST may name several servers. */
	TRY(server_connect(options->conninfo, &server));
	TRY(server_identify(server, &identity));
	if (identity.system_identifier != options->system_identifier)
		return error_new(ERR_TRANSIENT, "the second connection led to another database system");

	if (attempt == 0 && options->confirm)
		slot = options->from == InvalidXLogRecPtr ? WAL_SLOT_RESERVED : WAL_SLOT_PLAIN;
	TRY(wal_stream_create_slot(server, slot));
	TRY(begin(wal, server, attempt));
	TRY(wal_stream_start(server, wal->position, options->timeline));
	TRY(confirm(wal, server));
	set_ready(wal);
	return receive_to_stop(wal, server);
}

static Error *
finish_tar(BackupWal *wal)
{
	XLogRecPtr start_lsn;
	char begin_text[LSN_TEXT_SIZE];
	char start_text[LSN_TEXT_SIZE];

	TRY(wait_for_start(wal, &start_lsn));
	if (wal->keep_from > start_lsn)
		return error_new(ERR_TRANSIENT, "WAL was kept from %s on, but the backup starts at %s",
		                 lsn_format(wal->keep_from, begin_text), lsn_format(start_lsn, start_text));
	return wal_tar_finish(wal->tar);
}

/*
 * Is all there, although the stream broke?  A tight server removes the last
 * segment as soon as the backup has ended, before we are told where that was.
 */
static bool
has_reached_stop(BackupWal *wal)
{
	(void) pthread_mutex_lock(&wal->mutex);
	while (wal->stop_lsn == InvalidXLogRecPtr && !wal->abandoned && !cancel_requested())
		(void) pthread_cond_wait(&wal->changed, &wal->mutex);

	bool reached = wal->stop_lsn != InvalidXLogRecPtr && wal->tar != NULL && wal->position >= wal->stop_lsn;

	(void) pthread_mutex_unlock(&wal->mutex);
	return reached;
}

static Error *
stream_all(BackupWal *wal)
{
	AUTO(Error) error = NULL;

	for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++)
	{
		error_free(MOVE(error));
		error = stream_once(wal, attempt);
		if (error == NULL)
			return finish_tar(wal);
		(void) pthread_mutex_lock(&wal->mutex);
		bool abandoned = wal->abandoned;
		(void) pthread_mutex_unlock(&wal->mutex);
		if (error_is(error, ERR_CANCELLED) || wal->store_failed || abandoned)
			return MOVE(error);
	}
	set_ready(wal);
	return has_reached_stop(wal) ? finish_tar(wal) : MOVE(error);
}

static void *
thread_main(void *argument)
{
	BackupWal *wal = argument;
	Error *error = stream_all(wal);

	/* Unfinished parts go before anyone looks at the list. */
	wal_tar_free(MOVE(wal->tar));
	(void) pthread_mutex_lock(&wal->mutex);
	wal->failure = error;
	wal->ready = true;
	wal->ended = true;
	(void) pthread_cond_broadcast(&wal->changed);
	(void) pthread_mutex_unlock(&wal->mutex);
	return NULL;
}

Error *
backup_wal_new(const BackupWalOptions *options, BackupWal **ret_wal)
{
	AUTO(BackupWal) wal = NEW(BackupWal);

	wal->options = *options;
	(void) pthread_mutex_init(&wal->mutex, NULL);
	(void) pthread_cond_init(&wal->changed, NULL);
	wal->waiter = (CancelWaiter){.mutex = &wal->mutex, .condition = &wal->changed};
	cancel_wakes(&wal->waiter);
	TRY(thread_start(thread_main, wal, &wal->thread));
	wal->has_thread = true;

	(void) pthread_mutex_lock(&wal->mutex);
	while (!wal->ready && !cancel_requested())
		(void) pthread_cond_wait(&wal->changed, &wal->mutex);
	(void) pthread_mutex_unlock(&wal->mutex);
	TRY(cancel_check());
	*ret_wal = MOVE(wal);
	return NULL;
}

void
backup_wal_started(BackupWal *wal, XLogRecPtr start_lsn)
{
	(void) pthread_mutex_lock(&wal->mutex);
	wal->start_lsn = start_lsn;
	(void) pthread_cond_broadcast(&wal->changed);
	(void) pthread_mutex_unlock(&wal->mutex);
}

Error *
backup_wal_finish(BackupWal *wal, XLogRecPtr stop_lsn, Error **ret_failure)
{
	(void) pthread_mutex_lock(&wal->mutex);
	wal->stop_lsn = stop_lsn;
	wal->stop_known_ms = clock_monotonic_ms();
	(void) pthread_cond_broadcast(&wal->changed);
	while (!wal->ended && !cancel_requested())
		(void) pthread_cond_wait(&wal->changed, &wal->mutex);

	Error *failure = wal->ended ? MOVE(wal->failure) : NULL;
	(void) pthread_mutex_unlock(&wal->mutex);

	Error *cancelled = cancel_check();

	if (cancelled != NULL)
		error_free(failure);
	else
		*ret_failure = failure;
	return cancelled;
}

PartList *
backup_wal_parts(BackupWal *wal)
{
	return &wal->parts;
}

void
backup_wal_abandon(BackupWal *wal)
{
	(void) pthread_mutex_lock(&wal->mutex);
	wal->abandoned = true;
	(void) pthread_cond_broadcast(&wal->changed);
	(void) pthread_mutex_unlock(&wal->mutex);
	if (wal->has_thread)
		(void) pthread_join(wal->thread, NULL);
	wal->has_thread = false;
}

void
backup_wal_free(BackupWal *wal)
{
	if (wal == NULL)
		return;
	backup_wal_abandon(wal);
	cancel_forgets(&wal->waiter);
	error_free(wal->failure);
	part_list_release(&wal->parts);
	(void) pthread_cond_destroy(&wal->changed);
	(void) pthread_mutex_destroy(&wal->mutex);
	free(wal);
}
