/*
 * Removing objects: by thousands where the provider can (DeleteObjects), else one
 * by one.  All of it may be sent again, for what is gone already is success.
 */
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define REQUEST_MAX       (16u * 1024 * 1024) /* the most keys, the longest, all of it escaped */
#define BATCH_STALL_MS    60000               /* nothing comes before the last one is gone */
#define CLEANUP_KEYS_MOST 100                 /* in a request that has little time */
#define CLEANUP_ALL_MS    30000
#define NAMELESS_STATUS   400 /* of an entry whose code is unknown: not to be asked for again */

#define ROOT  "DeleteResult"
#define ENTRY ROOT "/Error"

void
s3_remove_request(const char *prefix, const char *const *keys, size_t count, Buf *into)
{
	buf_puts(into, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < count; i++)
	{
		buf_puts(into, "<Object><Key>");
		s3_xml_escape(prefix, into);
		s3_xml_escape(keys[i], into);
		buf_puts(into, "</Key></Object>");
	}
	buf_puts(into, "</Delete>");
}

/* The entry that is being read. */
typedef struct RemoveEntry
{
	S3RemoveCallback callback;
	void *context;
	char *key;
	char *code;
	char *message;
} RemoveEntry;

static void
entry_release(RemoveEntry *entry)
{
	free(entry->key);
	free(entry->code);
	free(entry->message);
	*entry = (RemoveEntry){.callback = entry->callback, .context = entry->context};
}

#define AUTO_ENTRY __attribute__((cleanup(entry_release))) RemoveEntry

static Error *
take_element(void *context, const char *path, const char *text)
{
	RemoveEntry *entry = context;
	char **into = NULL;

	if (strcmp(path, ROOT) != 0 && !str_starts_with(path, ROOT "/"))
		return error_new(ERR_CORRUPT, "the answer is no " ROOT);
	if (strcmp(path, ENTRY) == 0)
	{
		TRY(entry->callback(entry->context, entry->key, entry->code, entry->message));
		entry_release(entry);
	}
	else if (strcmp(path, ENTRY "/Key") == 0)
		into = &entry->key;
	else if (strcmp(path, ENTRY "/Code") == 0)
		into = &entry->code;
	else if (strcmp(path, ENTRY "/Message") == 0)
		into = &entry->message;
	if (into != NULL && text != NULL)
	{
		free(*into);
		*into = mem_strdup(text);
	}
	return NULL;
}

Error *
s3_remove_answer(const char *text, size_t size, S3RemoveCallback callback, void *context)
{
	AUTO_ENTRY entry = {.callback = callback, .context = context};

	return s3_xml_parse(text, size, take_element, &entry);
}

/* S3 says 204, some 200, and both with nothing behind it: a page of text is a portal's. */
static Error *
check_removed(void *context, const HttpResponse *response)
{
	(void) context;
	return response->body.size == 0 ? NULL
	                                : error_new(ERR_TRANSIENT, "the answer is not that of an S3 service");
}

static Error *
remove_one(S3Store *store, const char *key, bool cleanup, S3ErrorClass *ret_class)
{
	Patience brief = s3_cleanup_patience(store);
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "remove object",
	                  .method = "DELETE",
	                  .key = key,
	                  .patience = cleanup ? &brief : NULL,
	                  .check_answer = check_removed};
	Error *error = s3_call(store, &call, &answer);

	*ret_class = answer.class;
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

Error *
s3_remove(Store *base, const char *key)
{
	S3ErrorClass class;

	return remove_one((S3Store *) base, key, cancel_requested(), &class);
}

typedef struct Removal
{
	S3Store *store;
	StoreNotRemoved callback;
	void *context;
	bool cleanup; /* cancelled before it began: this is the tidying up */
	int64_t cleanup_until_ms;
	bool denied;  /* a request for many was */
	bool allowed; /* one for a single object was not */
} Removal;

static Error *
check_time(const Removal *removal)
{
	if (!removal->cleanup)
		return cancel_check();
	if (clock_monotonic_ms() >= removal->cleanup_until_ms)
		return error_new(ERR_CANCELLED, "no time was left to remove it after the cancellation");
	return NULL;
}

static Error *
give_up(const Removal *removal, const char *const *keys, size_t count, Error *error)
{
	for (size_t i = 0; i < count; i++)
		removal->callback(removal->context, keys[i], error);
	return error;
}

static Error *
remove_singly(Removal *removal, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		S3ErrorClass class = S3_DONE;
		AUTO(Error) error = check_time(removal);

		if (error == NULL)
			error = remove_one(removal->store, keys[i], removal->cleanup, &class);
		if (error == NULL)
		{
			removal->allowed = true;
			continue;
		}

		/* Would the next object fare any better? */
		if (error_is(error, ERR_CANCELLED) || s3_error_is_transient(class) || class == S3_CLOCK ||
		    class == S3_REGION || (class == S3_DENIED && removal->denied && !removal->allowed))
			return give_up(removal, keys + i, count - i, MOVE(error));
		removal->callback(removal->context, keys[i], error);
	}
	return NULL;
}

/* The keys of one request. */
typedef struct Batch
{
	S3Store *store;
	const char *const *keys;
	size_t count;
	Error **errors;   /* one for each key; NULL: it is gone, if "checked" */
	size_t transient; /* how many of them may be better next time */
	const HttpResponse *response;
	bool checked; /* the errors are those of an answer, the last one that could be read */
	bool strange; /* the last answer says nothing about our keys */
} Batch;

static void
forget_errors(Batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
	{
		error_free(batch->errors[i]);
		batch->errors[i] = NULL;
	}
	batch->transient = 0;
}

static void
batch_release(Batch *batch)
{
	forget_errors(batch);
	free(batch->errors);
}

#define AUTO_BATCH __attribute__((cleanup(batch_release))) Batch

static Error *
take_failure(void *context, const char *whole, const char *code, const char *message)
{
	Batch *batch = context;
	const char *prefix = batch->store->address.prefix;
	const char *key = whole != NULL && str_starts_with(whole, prefix) ? whole + strlen(prefix) : NULL;
	const S3ErrorRule *rule = s3_error_rule(code, NAMELESS_STATUS);
	AUTO_FREE char *url = NULL;
	size_t i = 0;

	if (rule->class == S3_ABSENT)
		return NULL;
	while (i < batch->count && !str_equal(batch->keys[i], key))
		i++;
	if (i == batch->count)
		return error_new(ERR_CORRUPT, "the answer names an object that was not to be removed");
	if (batch->errors[i] != NULL)
		return NULL;
	url = s3_object_url(batch->store, batch->keys[i]);
	batch->errors[i] = error_context(s3_error_of(rule, code, message, batch->response),
	                                 "could not remove object \"%s\"", url);
	if (s3_error_is_transient(rule->class))
		batch->transient++;
	return NULL;
}

/* An answer that cannot be understood is not asked for again: single requests leave no doubt. */
static Error *
check_batch(void *context, const HttpResponse *response)
{
	Batch *batch = context;
	AUTO(Error) error = NULL;

	forget_errors(batch);
	batch->response = response;
	error = s3_remove_answer(response->body.data, response->body.size, take_failure, batch);
	batch->strange = error != NULL;
	batch->checked = error == NULL;
	if (batch->checked && batch->transient > 0)
		return error_new(ERR_TRANSIENT, "%zu of %zu objects could not be removed", batch->transient,
		                 batch->count);
	return NULL;
}

static Error *
send_batch(const Removal *removal, Batch *batch, S3Answer *answer)
{
	AUTO_BUF(text, REQUEST_MAX);
	Patience patience = removal->cleanup ? s3_cleanup_patience(batch->store) : batch->store->options.patience;
	S3Payload payload;
	AUTO_CALL call = {.action = "remove objects of",
	                  .method = "POST",
	                  .payload = &payload,
	                  .patience = &patience,
	                  .check_answer = check_batch,
	                  .context = batch};

	s3_remove_request(batch->store->address.prefix, batch->keys, batch->count, &text);

	Slice slice = slice_of_memory(text.data, text.size);

	TRY(s3_payload(&slice, 1, S3_CHECKSUM_MD5, &payload));
	patience.stall_ms = BATCH_STALL_MS;
	s3_pairs_set(&call.query, "delete", "");
	s3_pairs_set(&call.headers, "content-type", "application/xml"); /* libcurl's own is refused */
	return s3_call(batch->store, &call, answer);
}

static Error *
remove_batch(Removal *removal, const char *const *keys, size_t count)
{
	AUTO_BATCH batch = {
		.store = removal->store, .keys = keys, .count = count, .errors = NEW_ARRAY(Error *, count)};
	AUTO_ANSWER answer = {0};
	AUTO(Error) error = send_batch(removal, &batch, &answer);
	int status = answer.http.status;
	bool unknown =
		answer.class == S3_UNSUPPORTED || status == 405 || str_equal(answer.code, "MethodNotAllowed");

	/*
	 * One by one, then, not only where the provider has no such request: some take
	 * offence at it, or ask for a right to the bucket where one to the objects would do.
	 */
	if ((error == NULL && batch.strange) || (error != NULL && !error_is(error, ERR_CANCELLED) &&
	                                         (unknown || (answer.class == S3_DENIED && status / 100 == 4) ||
	                                          (answer.class == S3_REFUSED && status == 400))))
	{
		if (error != NULL && unknown)
			atomic_store(&removal->store->removes_singly, true);
		removal->denied |= error != NULL && answer.class == S3_DENIED;
		return remove_singly(removal, keys, count);
	}
	if (error != NULL && !batch.checked)
		return give_up(removal, keys, count, MOVE(error));
	for (size_t i = 0; i < count; i++)
	{
		if (batch.errors[i] != NULL)
			removal->callback(removal->context, keys[i], batch.errors[i]);
	}

	/* Objects that the server had trouble with to the end do not stand for those of the next request. */
	if (error_is(error, ERR_CANCELLED) || status / 100 != 2)
		return MOVE(error);
	return NULL;
}

Error *
s3_remove_many(Store *base, const char *const *keys, size_t count, StoreNotRemoved callback, void *context)
{
	S3Store *store = (S3Store *) base;
	Removal removal = {.store = store,
	                   .callback = callback,
	                   .context = context,
	                   .cleanup = cancel_requested(),
	                   .cleanup_until_ms = clock_monotonic_ms() + CLEANUP_ALL_MS};
	size_t most = removal.cleanup ? CLEANUP_KEYS_MOST : S3_REMOVE_MOST;

	while (count > 0)
	{
		size_t some = count < most ? count : most;
		Error *error = check_time(&removal);

		if (error != NULL)
			return give_up(&removal, keys, count, error);
		if (some == 1 || removal.denied || atomic_load(&store->removes_singly))
			error = remove_singly(&removal, keys, some);
		else
			error = remove_batch(&removal, keys, some);
		keys += some;
		count -= some;
		if (error != NULL)
			return give_up(&removal, keys, count, error);
	}
	return NULL;
}
