/*
 * Removing objects: by thousands where the provider can, else one by one.  All
 * of it may be sent again, for what is gone already is success.
 */
#include <stdlib.h>
#include <string.h>

#include "s3_delete.h"
#include "s3_private.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define REQUEST_MAX     (16u * 1024 * 1024) /* the most keys, the longest, all of it escaped */
#define BATCH_STALL_MS  60000               /* nothing comes before the last one is gone */
#define PARTING_MOST    100                 /* keys in a request that has little time */
#define PARTING_ALL_MS  30000
#define NAMELESS_STATUS 400 /* of an entry whose code is unknown: not to be asked for again */

static Error *
remove_one(S3Store *store, const char *key, bool parting, S3Class *ret_class)
{
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "remove object", .method = "DELETE", .key = key, .parting = parting};
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
	S3Class class;

	return remove_one((S3Store *) base, key, cancel_requested(), &class);
}

typedef struct Removal
{
	S3Store *store;
	StoreNotRemoved callback;
	void *context;
	bool parting; /* cancelled before it began: this is the tidying up */
	int64_t until_ms;
	bool denied;  /* a request for many was */
	bool allowed; /* one for a single object was not */
} Removal;

static Error *
check_time(const Removal *removal)
{
	if (!removal->parting)
		return cancel_check();
	if (clock_monotonic_ms() >= removal->until_ms)
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

/* The next object would fare no better. */
static bool
concerns_all(const Removal *removal, const Error *error, S3Class class)
{
	return error_is(error, ERR_CANCELLED) || s3_class_is_passing(class) || class == S3_CLOCK ||
	       class == S3_REGION || (class == S3_DENIED && removal->denied && !removal->allowed);
}

static Error *
remove_singly(Removal *removal, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		S3Class class = S3_DONE;
		AUTO(Error) error = check_time(removal);

		if (error == NULL)
			error = remove_one(removal->store, keys[i], removal->parting, &class);
		if (error == NULL)
		{
			removal->allowed = true;
			continue;
		}
		if (concerns_all(removal, error, class))
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
	Error **errors; /* one for each key; NULL: it is gone, if "judged" */
	size_t passing; /* how many of them may be better next time */
	const HttpResponse *response;
	bool judged;  /* the errors are those of an answer, the last one that could be read */
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
	batch->passing = 0;
}

static void
batch_release(Batch *batch)
{
	forget_errors(batch);
	free(batch->errors);
}

#define AUTO_BATCH __attribute__((cleanup(batch_release))) Batch

static bool
find_key(const Batch *batch, const char *whole, size_t *ret_index)
{
	const char *prefix = batch->store->place.prefix;

	if (whole == NULL || !str_starts_with(whole, prefix))
		return false;
	for (size_t i = 0; i < batch->count; i++)
	{
		if (strcmp(batch->keys[i], whole + strlen(prefix)) == 0)
		{
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static Error *
take_failure(void *context, const char *whole, const char *code, const char *message)
{
	Batch *batch = context;
	const S3Meaning *meaning = s3_meaning(code, NAMELESS_STATUS);
	AUTO_FREE char *url = NULL;
	size_t i;

	if (meaning->class == S3_ABSENT)
		return NULL;
	if (!find_key(batch, whole, &i))
		return error_new(ERR_CORRUPT, "the answer names an object that was not to be removed");
	if (batch->errors[i] != NULL)
		return NULL;
	url = s3_object_url(batch->store, batch->keys[i]);
	batch->errors[i] = error_context(s3_error_of(meaning, code, message, batch->response),
	                                 "could not remove object \"%s\"", url);
	if (s3_class_is_passing(meaning->class))
		batch->passing++;
	return NULL;
}

/* An answer that cannot be understood is not asked for again: single requests leave no doubt. */
static Error *
judge_batch(void *context, const HttpResponse *response)
{
	Batch *batch = context;
	AUTO(Error) error = NULL;

	forget_errors(batch);
	batch->response = response;
	error = s3_delete_answer(response->body.data, response->body.size, take_failure, batch);
	batch->strange = error != NULL;
	batch->judged = error == NULL;
	if (batch->judged && batch->passing > 0)
		return error_new(ERR_TRANSIENT, "%zu of %zu objects could not be removed", batch->passing,
		                 batch->count);
	return NULL;
}

static Error *
send_batch(const Removal *removal, Batch *batch, S3Answer *answer)
{
	AUTO_BUF(text, REQUEST_MAX);
	S3Payload payload;
	AUTO_CALL call = {.action = "remove objects of",
	                  .method = "POST",
	                  .payload = &payload,
	                  .judge = judge_batch,
	                  .context = batch,
	                  .stall_ms = BATCH_STALL_MS,
	                  .parting = removal->parting};

	s3_delete_request(batch->store->place.prefix, batch->keys, batch->count, &text);

	Slice slice = slice_of_memory(text.data, text.size);

	TRY(s3_payload(&slice, 1, &payload));
	s3_call_query(&call, "delete", "");
	s3_call_header(&call, "content-type", "application/xml"); /* libcurl's own is refused */
	return s3_call(batch->store, &call, answer);
}

static bool
lacks_batches(const S3Answer *answer)
{
	return answer->class == S3_UNSUPPORTED || answer->http.status == 405 ||
	       str_equal(answer->code, "MethodNotAllowed");
}

/*
 * Not only where the provider cannot: some take offence at such a request, or
 * ask for a right to the bucket where one to the objects would do.
 */
static bool
is_better_singly(const Batch *batch, const Error *error, const S3Answer *answer)
{
	if (error == NULL)
		return batch->strange;
	if (error_is(error, ERR_CANCELLED))
		return false;
	return lacks_batches(answer) || (answer->class == S3_DENIED && answer->http.status / 100 == 4) ||
	       (answer->class == S3_REFUSED && answer->http.status == 400);
}

static void
tell_errors(const Removal *removal, const Batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
	{
		if (batch->errors[i] != NULL)
			removal->callback(removal->context, batch->keys[i], batch->errors[i]);
	}
}

static Error *
remove_batch(Removal *removal, const char *const *keys, size_t count)
{
	AUTO_BATCH batch = {
		.store = removal->store, .keys = keys, .count = count, .errors = NEW_ARRAY(Error *, count)};
	AUTO_ANSWER answer = {0};
	AUTO(Error) error = send_batch(removal, &batch, &answer);

	if (is_better_singly(&batch, error, &answer))
	{
		if (error != NULL && lacks_batches(&answer))
			atomic_store(&removal->store->removes_singly, true);
		removal->denied |= error != NULL && answer.class == S3_DENIED;
		return remove_singly(removal, keys, count);
	}
	if (error != NULL && !batch.judged)
		return give_up(removal, keys, count, MOVE(error));
	tell_errors(removal, &batch);

	/* Objects that the server had trouble with to the end do not stand for those of the next request. */
	if (error_is(error, ERR_CANCELLED) || answer.http.status / 100 != 2)
		return MOVE(error);
	return NULL;
}

static Error *
remove_some(Removal *removal, const char *const *keys, size_t count)
{
	Error *error = check_time(removal);

	if (error != NULL)
		return give_up(removal, keys, count, error);
	if (count == 1 || removal->denied || atomic_load(&removal->store->removes_singly))
		return remove_singly(removal, keys, count);
	return remove_batch(removal, keys, count);
}

Error *
s3_remove_many(Store *base, const char *const *keys, size_t count, StoreNotRemoved callback, void *context)
{
	Removal removal = {.store = (S3Store *) base,
	                   .callback = callback,
	                   .context = context,
	                   .parting = cancel_requested(),
	                   .until_ms = clock_monotonic_ms() + PARTING_ALL_MS};
	size_t most = removal.parting ? PARTING_MOST : S3_DELETE_MOST;

	while (count > 0)
	{
		size_t some = count < most ? count : most;
		Error *error = remove_some(&removal, keys, some);

		keys += some;
		count -= some;
		if (error != NULL)
			return give_up(&removal, keys, count, error);
	}
	return NULL;
}
