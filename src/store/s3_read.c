/*
 * Reading an object.  A read that breaks goes on where it stopped, if the object is
 * still the same one.  One whose connection is slow is handed over to s3_ranges.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_ranges.h"
#include "walship/base/mem.h"

/* Larger than any object of any provider, and far from any overflow. */
#define OBJECT_SIZE_MAX (UINT64_C(1) << 60)

/* What is being read.  Its sink counts what has gone through, for going on behind it. */
typedef struct Get
{
	Sink sink;
	S3Store *store;
	const char *key;
	Sink *into;
	uint64_t offset; /* of the first byte that is wanted */
	uint64_t size;   /* at most; STORE_TO_END */
	uint64_t got;
	uint64_t expected; /* "got" at the end; known once there was an answer */
	bool answered;
	char *etag;        /* of the last answer; NULL: none */
	bool of_etag;      /* of no other object than that of this ETag, from the beginning */
	Error *into_error; /* of "into": the object was read, so the request has nothing to add to it */

	S3Pace pace;
	int64_t paced_since_ms;
	S3Ranges *ranges; /* read what follows "until"; NULL: nobody does */
	uint64_t until;   /* bytes, where this stream ends */
} Get;

/*
 * Is it worth while to read what is left by more connections?  The pace is that of a span in which one was free
 * all the while.  Then this stream goes on for as long as the first range takes: there is no pause.
 */
static void
consider_ranges(Get *get, int64_t began_ms, uint64_t size)
{
	int64_t now_ms = clock_monotonic_ms();
	uint64_t left = get->expected - get->got;

	if (get->ranges != NULL || get->of_etag || get->etag == NULL)
		return;
	if (get->paced_since_ms == 0 || !s3_connection_is_free(get->store))
	{
		get->pace = (S3Pace){0};
		get->paced_since_ms = now_ms;
		return;
	}
	get->pace.elapsed_ms = now_ms - get->paced_since_ms;
	get->pace.busy_ms += now_ms - began_ms;
	get->pace.bytes += size;
	if (get->pace.elapsed_ms < S3_PACE_MS)
		return;
	if (s3_ranges_pay(&get->pace, left))
	{
		get->until = get->got + S3_RANGE_SIZE;
		get->ranges = s3_ranges_begin(get->store, get->key, get->etag, get->offset + get->until,
		                              get->offset + get->expected);
	}
	get->paced_since_ms = 0;
}

static bool
is_handed_over(const Get *get)
{
	return get->ranges != NULL && get->got == get->until;
}

static Error *
get_write(Sink *sink, const void *data, size_t size)
{
	Get *get = (Get *) sink;

	if (size > get->expected - get->got)
		return error_new(ERR_CORRUPT, "more bytes than were asked for");
	if (get->ranges != NULL && size > get->until - get->got)
		size = get->until - get->got;

	int64_t began_ms = clock_monotonic_ms();

	get->into_error = sink_write(get->into, data, size);
	if (get->into_error != NULL)
		return error_new(error_kind(get->into_error), "what came was refused");
	get->got += size;
	if (is_handed_over(get))
		return error_new(ERR_CANCELLED, "the rest is read by ranges");
	consider_ranges(get, began_ms, size);
	return NULL;
}

static bool
is_ranged(const Get *get)
{
	return get->offset > 0 || get->size != STORE_TO_END || get->got > 0;
}

/* "length" is the answer's own; *ret_expected is that of all that is wanted. */
static Error *
check_range(const Get *get, const HttpResponse *response, uint64_t length, uint64_t *ret_expected)
{
	const char *text = http_header(response, "content-range");
	uint64_t first = 0;
	uint64_t last = 0;
	uint64_t total = 0;
	uint64_t wanted;

	/* "bytes 0-9/100"; sizes that are not told ("*") are not taken. */
	if (response->status != 206 || text == NULL ||
	    sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &first, &last, &total) != 3 || first > last ||
	    last >= total)
		return error_new(ERR_TRANSIENT, "the server did not answer with the range that was asked for");
	wanted = get->offset >= total ? 0 : total - get->offset;
	wanted = get->size < wanted ? get->size : wanted;
	if (first != get->offset + get->got || last + 1 != get->offset + wanted || length != last - first + 1)
		return error_new(ERR_TRANSIENT, "the server answered with another range (%s)", text);
	*ret_expected = wanted;
	return NULL;
}

/* Before the first byte.  Without a length, the end of the connection would pass for the object's. */
static Error *
get_accept(void *context, const HttpResponse *response)
{
	Get *get = context;
	const char *text = http_header(response, "content-length");
	const char *etag = http_header(response, "etag");
	uint64_t expected = 0;

	if (text == NULL || !str_to_uint64(text, &expected))
		return error_new(ERR_TRANSIENT, "the server did not tell the object's length");
	if (is_ranged(get))
		TRY(check_range(get, response, expected, &expected));
	else if (response->status != 200)
		return error_new(ERR_TRANSIENT, "the server answered with a range that nobody asked for");

	/* The rest of another object does not fit behind the beginning of this one. */
	if (get->answered && get->got > 0 && expected != get->expected)
		return error_new(ERR_CORRUPT, "the object changed while it was read");
	if ((get->got > 0 || get->of_etag) && get->etag != NULL && !str_equal(etag, get->etag))
		return error_new(ERR_CORRUPT, "the object changed while it was read");
	free(get->etag);
	get->etag = mem_strdup(etag);
	get->expected = expected;
	get->answered = true;
	return NULL;
}

/* Asks for what is left. */
static void
set_range(S3Call *call)
{
	const Get *get = call->context;
	uint64_t first = get->offset + get->got;
	AUTO_FREE char *range = NULL;

	if (!is_ranged(get))
		return;
	if (get->size == STORE_TO_END || get->size > OBJECT_SIZE_MAX)
		range = mem_printf("bytes=%" PRIu64 "-", first);
	else
		range = mem_printf("bytes=%" PRIu64 "-%" PRIu64, first, get->offset + get->size - 1);
	s3_pairs_set(&call->headers, "range", range);
	if ((get->got > 0 || get->of_etag) && get->etag != NULL)
		s3_pairs_set(&call->headers, "if-match", get->etag);
}

/* Bytes of the object, into "into", by one request and what is left of it by others. */
static Error *
read_stream(Get *get, const Patience *patience)
{
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "read object",
	                  .method = "GET",
	                  .key = get->key,
	                  .patience = patience,
	                  .into = &get->sink,
	                  .accept = get_accept,
	                  .prepare = set_range,
	                  .context = get};
	Error *error = s3_call(get->store, &call, &answer);

	if (get->into_error != NULL)
	{
		error_free(error);
		return get->into_error;
	}
	if (is_handed_over(get))
	{
		error_free(error);
		return NULL;
	}
	if (error == NULL && get->got != get->expected)
		return error_new(ERR_TRANSIENT, "could not read object \"%s\": it ended too early", get->key);
	if ((get->got > 0 && answer.class == S3_TAKEN) ||
	    (get->of_etag && (answer.class == S3_TAKEN || answer.class == S3_BEYOND)))
	{
		error_free(error);
		return error_new(ERR_CORRUPT, "object \"%s\" changed while it was read", get->key);
	}

	/* The range begins behind the end, or the object is empty: there is nothing to read, and no error. */
	if (error != NULL && answer.class == S3_BEYOND && get->got == 0)
	{
		error_free(error);
		return NULL;
	}
	return error;
}

static const SinkOps get_ops = {.write = get_write};

Error *
s3_get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	S3Store *store = (S3Store *) base;
	Get get = {
		.sink.ops = &get_ops, .store = store, .key = key, .into = into, .offset = offset, .size = size};
	StoreEntry entry;
	Error *error;

	/* Not even whether it is there can be asked with an empty range. */
	if (size == 0 || offset > OBJECT_SIZE_MAX)
		return s3_stat(base, key, &entry);
	atomic_fetch_add(&store->reading, 1);
	error = read_stream(&get, NULL);
	atomic_fetch_sub(&store->reading, 1);
	if (error == NULL && get.ranges != NULL)
		error = s3_ranges_read(get.ranges, into);
	s3_ranges_free(get.ranges);
	free(get.etag);
	return error;
}

Error *
s3_get_range(S3Store *store, const char *key, const char *etag, uint64_t offset, uint64_t size,
             const atomic_bool *stop, Sink *into)
{
	Patience patience = store->options.patience;
	Get get = {.sink.ops = &get_ops,
	           .store = store,
	           .key = key,
	           .into = into,
	           .offset = offset,
	           .size = size,
	           .etag = mem_strdup(etag),
	           .of_etag = true};
	Error *error;

	patience.stop = stop;
	error = read_stream(&get, &patience);
	if (error == NULL && get.got != size)
		error = error_new(ERR_CORRUPT, "object \"%s\" changed while it was read", key);
	free(get.etag);
	return error;
}
