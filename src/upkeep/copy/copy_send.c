/* One object on its way from store to store; see copy_steps.h. */
#include <inttypes.h>
#include <string.h>

#include "copy_steps.h"
#include "walship/archive/backup_record.h"
#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/object_check.h"
#include "walship/archive/read_again.h"
#include "walship/archive/sealed_json.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define WAITING_PER_JOB 8 /* jobs in the queue: bounds the memory, and no thread waits for the listing */

typedef struct SendJob
{
	CopySender *sender;
	CopyItem item;
	char *key; /* the item's */
} SendJob;

void
copy_add_finding(StoreCopy *copy, StoreCopyProblem problem, const char *key, char *reason)
{
	GROW(copy->findings, copy->n_findings, copy->findings_capacity);
	copy->findings[copy->n_findings++] = (StoreCopyFinding){problem, mem_strdup(key), reason};
}

static Error *
compare_segments(StoreCopy *copy, const char *key, StoreCopyProblem *ret_problem, char **ret_difference)
{
	AUTO_FREE WalIndex *ours = NEW(WalIndex);
	AUTO_FREE WalIndex *theirs = NEW(WalIndex);
	AUTO(Error) at_source = wal_object_index(copy->source, key, ours);
	AUTO(Error) at_target = NULL;

	if (error_is(at_source, ERR_CORRUPT))
	{
		*ret_problem = STORE_COPY_DAMAGED;
		*ret_difference = mem_strdup(error_message(at_source));
		return NULL;
	}
	TRY(MOVE(at_source));
	at_target = wal_object_index(copy->target, key, theirs);
	if (error_is(at_target, ERR_CORRUPT))
		*ret_difference = mem_printf("the target's is damaged: %s", error_message(at_target));
	else if (at_target != NULL)
		return MOVE(at_target);
	else if (memcmp(ours->sha256, theirs->sha256, SHA256_SIZE) != 0)
		*ret_difference = mem_strdup("the segments have other contents");
	return NULL;
}

Error *
copy_compare(StoreCopy *copy, const char *key, uint64_t source_size, uint64_t target_size,
             StoreCopyProblem *ret_problem, char **ret_difference)
{
	*ret_difference = NULL;
	*ret_problem = STORE_COPY_DIFFERS;
	if (source_size == target_size)
		return NULL;
	if (str_ends_with(key, ".tar"))
		TRY(compare_segments(copy, key, ret_problem, ret_difference));
	else
		*ret_difference =
			mem_printf("it has %" PRIu64 " bytes instead of %" PRIu64, target_size, source_size);
	return NULL;
}

static Error *
count_bytes(void *context, const void *data, size_t size)
{
	const StoreCopy *copy = context;

	(void) data;
	TRY(cancel_check());
	if (copy->on_bytes != NULL)
		copy->on_bytes(copy->on_bytes_context, size);
	return NULL;
}

/* A history file decides which WAL is replayed: so it must be that of its digest, where there is one. */
static Error *
check_history(const StoreCopy *copy, const char *key)
{
	AUTO(TimelineHistory) history = NULL;
	WalName name;

	if (!layout_parse_wal_key(key, &name) || name.kind != WAL_HISTORY)
		return NULL;
	return history_file_get(copy->source, copy->system_identifier, name.timeline, &history);
}

/* What its bytes must be, as far as it can be told while they pass. */
static void
add_check(const StoreCopy *copy, const CopyItem *item, Pipe *pipe)
{
	switch (item->kind)
	{
		case STORE_COPY_WAL:
			if (str_ends_with(item->key, ".tar"))
				pipe_add(pipe, object_check_segment(copy->system_identifier, item->key));
			break;
		case STORE_COPY_PARTS:
			if (item->digest != NULL)
				pipe_add(pipe, verify_stage_new(item->digest, item->key));
			break;
		case STORE_COPY_RECORDS:
			pipe_add(pipe, object_check_sealed(BACKUP_RECORD_MAX));
			break;
		case STORE_COPY_PINS:
			pipe_add(pipe, object_check_sealed(SEALED_JSON_MAX));
			break;
		case N_STORE_COPY_KINDS:
			break;
	}
}

/* Parts are streamed, for they are large and their keys are nobody else's; what several may write is one write. */
static Error *
send_once(const StoreCopy *copy, const CopyItem *item)
{
	AUTO(Spool) spool = NULL;
	AUTO(Pipe) pipe = pipe_new();
	Sink *writer = NULL;

	pipe_add(pipe, callback_stage_new(count_bytes, (void *) copy));
	add_check(copy, item, pipe);
	if (item->kind == STORE_COPY_PARTS && item->mode == PUT_IF_ABSENT)
		TRY(store_writer(copy->target, item->key, &writer));
	else
	{
		TRY(check_history(copy, item->key));
		spool = spool_new(copy->spool_directory);
		writer = spool_sink_new(spool);
	}
	pipe_add(pipe, writer);
	TRY(store_get(copy->source, item->key, 0, STORE_TO_END, pipe_as_sink(pipe)));
	TRY(pipe_finish(pipe));
	if (spool == NULL)
		return NULL;

	Slice slice = spool_slice(spool);

	return store_put(copy->target, item->key, &slice, 1, item->mode);
}

Error *
copy_send_object(StoreCopy *copy, const CopyItem *item)
{
	Error *error;
	int reads = 0;

	do
		error = send_once(copy, item);
	while (read_again(copy->source, item->key, &error, &reads));
	return error;
}

Error *
copy_check_object(StoreCopy *copy, const CopyItem *item)
{
	Error *error;
	int reads = 0;

	if (item->foreign)
		return error_new(ERR_CORRUPT, "object belongs elsewhere");
	do
	{
		AUTO(Pipe) pipe = pipe_new();

		add_check(copy, item, pipe);
		pipe_add(pipe, null_sink_new());
		error = store_get(copy->source, item->key, 0, STORE_TO_END, pipe_as_sink(pipe));
		if (error == NULL)
			error = pipe_finish(pipe);
	} while (read_again(copy->source, item->key, &error, &reads));
	return error;
}

/* Somebody else was faster, or it has lain there: nothing is overwritten. */
static Error *
look_at_other(StoreCopy *copy, const CopyItem *item, StoreCopyProblem *ret_problem, char **ret_difference)
{
	StoreEntry there;

	TRY(store_said_there(store_stat(copy->target, item->key, &there), item->key));
	return copy_compare(copy, item->key, item->size, there.size, ret_problem, ret_difference);
}

static Error *
send(CopySender *sender, const CopyItem *item)
{
	StoreCopy *copy = sender->copy;
	StoreCopyProblem problem = STORE_COPY_DAMAGED;
	AUTO_FREE char *reason = NULL;
	Error *error = copy_send_object(copy, item);
	bool gone = error_is(error, ERR_NOT_FOUND);
	bool failed;

	if (error_is(error, ERR_CORRUPT))
		reason = mem_strdup(error_message(error));
	if (gone || reason != NULL)
	{
		error_free(error);
		error = NULL;
	}
	if (error_is(error, ERR_EXISTS))
	{
		error_free(error);
		error = look_at_other(copy, item, &problem, &reason);
	}
	TRY(error_context(error, "could not copy \"%s\"", item->key));

	failed = gone || reason != NULL;
	(void) pthread_mutex_lock(&sender->mutex);
	if (gone)
		copy->gone++;
	else if (failed)
		copy_add_finding(copy, problem, item->key, MOVE(reason));
	else
	{
		copy->sent[item->kind].objects++;
		copy->sent[item->kind].size += item->size;
	}
	if (failed && item->ret_failed != NULL)
		*item->ret_failed = true;
	(void) pthread_mutex_unlock(&sender->mutex);
	return NULL;
}

static Error *
run_job(void *argument)
{
	SendJob *job = argument;
	bool stop;

	(void) pthread_mutex_lock(&job->sender->mutex);
	stop = job->sender->stop;
	(void) pthread_mutex_unlock(&job->sender->mutex);
	if (stop)
		return NULL;
	TRY(cancel_check());
	return send(job->sender, &job->item);
}

static void
free_job(void *argument)
{
	SendJob *job = argument;
	CopySender *sender = job->sender;

	(void) pthread_mutex_lock(&sender->mutex);
	sender->waiting--;
	(void) pthread_cond_signal(&sender->wake);
	(void) pthread_mutex_unlock(&sender->mutex);
	free(job->key);
	free(job);
}

void
copy_sender_init(CopySender *sender, StoreCopy *copy)
{
	*sender = (CopySender){.copy = copy, .workers = workers_new(copy->jobs)};
	(void) pthread_mutex_init(&sender->mutex, NULL);
	(void) pthread_cond_init(&sender->wake, NULL);
}

void
copy_sender_submit(CopySender *sender, const CopyItem *item)
{
	SendJob *job = NEW(SendJob);

	job->sender = sender;
	job->item = *item;
	job->item.key = job->key = mem_strdup(item->key);
	(void) pthread_mutex_lock(&sender->mutex);
	while (sender->waiting >= WAITING_PER_JOB * sender->copy->jobs)
		(void) pthread_cond_wait(&sender->wake, &sender->mutex);
	sender->waiting++;
	(void) pthread_mutex_unlock(&sender->mutex);
	workers_submit(sender->workers, run_job, job, free_job);
}

Error *
copy_sender_wait(CopySender *sender)
{
	return workers_wait(sender->workers);
}

void
copy_sender_stop(CopySender *sender)
{
	(void) pthread_mutex_lock(&sender->mutex);
	sender->stop = true;
	(void) pthread_mutex_unlock(&sender->mutex);
	error_free(workers_wait(sender->workers));
}

void
copy_sender_release(CopySender *sender)
{
	workers_free(sender->workers);
	(void) pthread_cond_destroy(&sender->wake);
	(void) pthread_mutex_destroy(&sender->mutex);
}
