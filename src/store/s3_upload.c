/*
 * The writer: one PUT for what fits into one part, else a multipart upload
 * whose parts are sent side by side.  All parts but the last have the same size,
 * for R2 takes no others.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/retry.h"
#include "walship/base/workers.h"

#define PART_SIZE         (16u * 1024 * 1024)
#define PARTS_MOST        10000
#define COMPLETE_STALL_MS 300000
#define COMPLETE_ATTEMPTS 5

typedef struct Upload
{
	Sink sink;
	S3Store *store;
	char *key;
	char *id;      /* NULL: not begun, all of it is in "part" */
	uint8_t *part; /* that is being filled; NULL: none */
	size_t filled;
	uint64_t size; /* of what was sent */
	char **etags;  /* of the parts; set by the jobs, each its own */
	int n_parts;
	int jobs;
	Workers *workers;
	atomic_bool stop;
	bool completed;
} Upload;

typedef struct PartJob
{
	Upload *upload;
	int number; /* counts from 1 */
	uint8_t *data;
	size_t size;
} PartJob;

static Error *
check_begin(void *context, const HttpResponse *response)
{
	char **id = context;

	free(*id);
	*id = s3_xml_find(response->body.data, response->body.size, "InitiateMultipartUploadResult/UploadId");
	if (*id == NULL || (*id)[0] == '\0')
		return error_new(ERR_TRANSIENT, "the answer names no upload");
	return NULL;
}

static Error *
begin_upload(Upload *upload)
{
	AUTO_ANSWER answer = {0};
	AUTO_FREE char *id = NULL;
	S3Payload nothing;
	AUTO_CALL call = {.action = "begin the upload of object",
	                  .method = "POST",
	                  .key = upload->key,
	                  .payload = &nothing,
	                  .check_answer = check_begin,
	                  .context = &id};

	TRY(s3_payload(NULL, 0, S3_CHECKSUM_MD5, &nothing));
	s3_add_object_headers(upload->store, &call);
	s3_pairs_set(&call.query, "uploads", "");
	s3_pairs_set(&call.headers, "content-type", "application/octet-stream");
	TRY(s3_call(upload->store, &call, &answer));
	upload->id = MOVE(id);

	/* An answer that got lost may have begun another one; if it cannot be found now, a later backup will. */
	if (answer.http.ambiguous)
		error_free(s3_abort_other_uploads(upload->store, upload->key, upload->id));
	s3_part_prove(upload->store, upload->key, upload->id);
	upload->etags = NEW_ARRAY(char *, PARTS_MOST);
	upload->workers = workers_new(upload->jobs);
	return NULL;
}

static Error *
send_part(void *argument)
{
	const PartJob *job = argument;
	Upload *upload = job->upload;
	Patience patience = upload->store->options.patience;

	patience.stop = &upload->stop;
	return s3_part_send(upload->store,
	                    &(S3Part){.key = upload->key,
	                              .upload_id = upload->id,
	                              .number = job->number,
	                              .data = job->data,
	                              .size = job->size},
	                    &patience, &upload->etags[job->number - 1]);
}

/* A new one only where all that there are are in use: of each job one, and of each writer the one that it fills. */
static void *
take_buffer(S3UploadSlots *slots)
{
	void *buffer;

	(void) pthread_mutex_lock(&slots->mutex);
	buffer = slots->n_spare > 0 ? slots->spare[--slots->n_spare] : NULL;
	(void) pthread_mutex_unlock(&slots->mutex);
	return buffer != NULL ? buffer : mem_alloc(PART_SIZE);
}

/* Under the mutex. */
static void
keep_buffer(S3UploadSlots *slots, void *buffer)
{
	if (buffer != NULL && slots->n_spare < S3_UPLOAD_JOBS_MOST)
		slots->spare[slots->n_spare++] = buffer;
	else
		free(buffer);
}

/* With the job goes its slot. */
static void
part_job_free(void *argument)
{
	PartJob *job = argument;
	S3UploadSlots *slots = &job->upload->store->upload_slots;

	(void) pthread_mutex_lock(&slots->mutex);
	keep_buffer(slots, job->data);
	slots->taken--;
	(void) pthread_cond_broadcast(&slots->changed);
	(void) pthread_mutex_unlock(&slots->mutex);
	free(job);
}

static Error *
submit_part(Upload *upload)
{
	S3UploadSlots *slots = &upload->store->upload_slots;
	PartJob *job;

	if (upload->id == NULL)
		TRY(begin_upload(upload));
	if (workers_failed(upload->workers))
	{
		atomic_store(&upload->stop, true);
		TRY(workers_wait(upload->workers));
		TRY(cancel_check());
	}
	if (upload->n_parts == PARTS_MOST)
		return error_hint(error_new(ERR_USAGE, "object \"%s\" is too large for %d parts of %u MiB",
		                            upload->key, PARTS_MOST, PART_SIZE / (1024 * 1024)),
		                  "Make \"part_size\" smaller.");

	/* Bounds the memory.  Requests end by themselves, also when cancelled, so nobody waits here for good. */
	(void) pthread_mutex_lock(&slots->mutex);
	while (slots->taken >= upload->jobs)
		(void) pthread_cond_wait(&slots->changed, &slots->mutex);
	slots->taken++;
	(void) pthread_mutex_unlock(&slots->mutex);

	job = NEW(PartJob);
	job->upload = upload;
	job->number = ++upload->n_parts;
	job->data = MOVE(upload->part);
	job->size = upload->filled;
	upload->size += upload->filled;
	upload->filled = 0;
	workers_submit(upload->workers, send_part, job, part_job_free);
	return NULL;
}

static Error *
upload_write(Sink *sink, const void *data, size_t size)
{
	Upload *upload = (Upload *) sink;
	const uint8_t *next = data;

	while (size > 0)
	{
		size_t piece;

		/* Only when there is more: an object of exactly one part is one PUT. */
		if (upload->filled == PART_SIZE)
			TRY(submit_part(upload));
		if (upload->part == NULL)
			upload->part = take_buffer(&upload->store->upload_slots);
		piece = size < PART_SIZE - upload->filled ? size : PART_SIZE - upload->filled;
		memcpy(upload->part + upload->filled, next, piece);
		upload->filled += piece;
		next += piece;
		size -= piece;
	}
	return NULL;
}

/* A 200 may come before the verdict, which then is an <Error>; only this element says that it is done. */
static Error *
check_complete(void *context, const HttpResponse *response)
{
	AUTO_FREE char *etag =
		s3_xml_find(response->body.data, response->body.size, "CompleteMultipartUploadResult/ETag");

	(void) context;
	if (etag == NULL || etag[0] == '\0')
		return error_new(ERR_TRANSIENT, "the answer does not say that the upload is complete");
	return NULL;
}

static char *
list_of_parts(const Upload *upload)
{
	Buf list = {.cap = PARTS_MOST * 1024u};

	buf_puts(&list, "<CompleteMultipartUpload>");
	for (int i = 0; i < upload->n_parts; i++)
		buf_printf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i + 1, upload->etags[i]);
	buf_puts(&list, "</CompleteMultipartUpload>");
	return buf_steal(&list);
}

static Error *
complete_once(const Upload *upload, const S3Payload *parts, bool conditional, S3ErrorClass *ret_class)
{
	Patience patience = upload->store->options.patience;
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "complete the upload of object",
	                  .method = "POST",
	                  .key = upload->key,
	                  .payload = parts,
	                  .patience = &patience,
	                  .check_answer = check_complete};
	Error *error;

	patience.attempts = 1;
	patience.stall_ms = COMPLETE_STALL_MS;
	s3_pairs_set(&call.query, "uploadId", upload->id);
	s3_pairs_set(&call.headers, "content-type", "application/xml"); /* libcurl's own is refused */
	if (conditional)
		s3_pairs_set(&call.headers, "if-none-match", "*");
	error = s3_call(upload->store, &call, &answer);
	*ret_class = answer.class;
	return error;
}

/*
 * Bounded: for an upload that is gone, Ceph says InternalError for ever.  The
 * condition is for policies that forbid to write without one.
 */
static Error *
complete_upload(const Upload *upload)
{
	static const RetryPolicy policy = {.first_ms = 500, .most_ms = 10000};
	AUTO_FREE char *list = list_of_parts(upload);
	Slice slice = slice_of_memory(list, strlen(list));
	bool conditional = s3_state_conditional(upload->store) == S3_CONDITIONAL_HONOURED;
	S3Payload parts;

	TRY(s3_payload(&slice, 1, S3_CHECKSUM_MD5, &parts));
	for (int attempt = 0;; attempt++)
	{
		S3ErrorClass class;
		bool transient;
		bool unknown = false; /* whether it is complete */
		uint64_t random;
		Error *error = complete_once(upload, &parts, conditional, &class);

		if (error == NULL || error_is(error, ERR_CANCELLED))
			return error;

		/* Not every provider that knows the condition for PUT knows it here. */
		if (conditional && (class == S3_UNSUPPORTED || class == S3_REFUSED || class == S3_WRONG))
		{
			error_free(error);
			conditional = false;
			continue;
		}

		/*
		 * The answer may have been lost, or that of an attempt before: the key is ours
		 * alone, so an object of the right size is this one.
		 */
		transient = s3_error_is_transient(class);
		if (transient || class == S3_NO_UPLOAD || (class == S3_TAKEN && attempt > 0))
		{
			StoreEntry entry;
			AUTO(Error) missing = s3_stat(&upload->store->store, upload->key, &entry);

			if (missing == NULL && entry.size == upload->size)
			{
				error_free(error);
				return NULL;
			}
			unknown = missing != NULL && !error_is(missing, ERR_NOT_FOUND);
		}
		if (attempt + 1 >= COMPLETE_ATTEMPTS || !(transient || (class == S3_NO_UPLOAD && unknown)))
			return error;
		error_free(error);
		random_bytes(&random, sizeof(random));
		TRY(cancel_sleep_ms(retry_delay_ms(&policy, attempt, random)));
	}
}

static Error *
upload_finish(Sink *sink)
{
	Upload *upload = (Upload *) sink;
	Slice slice = slice_of_memory(upload->part, upload->filled);

	if (upload->id == NULL)
		return s3_put(&upload->store->store, upload->key, &slice, upload->part == NULL ? 0 : 1,
		              PUT_IF_ABSENT);
	if (upload->filled > 0)
		TRY(submit_part(upload));
	TRY(workers_wait(upload->workers));
	TRY(cancel_check());
	TRY(complete_upload(upload));
	upload->completed = true;
	return NULL;
}

/* As far as it can be: what stays is swept up by a later backup (s3_tidy). */
static void
abort_upload(const Upload *upload)
{
	Patience brief = s3_cleanup_patience(upload->store);
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {
		.action = "abort the upload of object", .method = "DELETE", .key = upload->key, .patience = &brief};

	s3_pairs_set(&call.query, "uploadId", upload->id);
	error_free(s3_call(upload->store, &call, &answer));
}

static void
upload_free(Sink *sink)
{
	Upload *upload = (Upload *) sink;

	atomic_store(&upload->stop, true);
	workers_free(upload->workers);
	if (upload->id != NULL && !upload->completed)
		abort_upload(upload);
	for (int i = 0; i < upload->n_parts; i++)
		free(upload->etags[i]);
	free(upload->etags);
	(void) pthread_mutex_lock(&upload->store->upload_slots.mutex);
	keep_buffer(&upload->store->upload_slots, upload->part);
	(void) pthread_mutex_unlock(&upload->store->upload_slots.mutex);
	free(upload->id);
	free(upload->key);
	free(upload);
}

static const SinkOps upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.free = upload_free,
};

Error *
s3_writer(Store *base, const char *key, Sink **ret_sink)
{
	Upload *upload = NEW(Upload);
	S3Store *store = (S3Store *) base;

	upload->sink.ops = &upload_ops;
	upload->store = store;
	upload->key = mem_strdup(key);
	upload->jobs = store->options.jobs < 1 ? 1 : store->options.jobs;
	upload->jobs = upload->jobs > S3_UPLOAD_JOBS_MOST ? S3_UPLOAD_JOBS_MOST : upload->jobs;
	*ret_sink = &upload->sink;
	return NULL;
}
