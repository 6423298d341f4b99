/*
 * Reading an object, and looking at one.  A read that breaks goes on where it
 * stopped, if the object is still the same one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "walship/base/mem.h"

/* Larger than any object of any provider, and far from any overflow. */
#define OBJECT_SIZE_MAX (UINT64_C(1) << 60)

typedef struct Get
{
	uint64_t offset; /* of the first byte that is wanted */
	uint64_t size;   /* at most; STORE_TO_END */
	uint64_t got;
	uint64_t expected; /* "got" at the end; known once there was an answer */
	bool answered;
	char *etag; /* of the first answer; NULL: none */
	Sink *into;
} Get;

/* Counts what has gone through, for going on behind it. */
typedef struct CountingSink
{
	Sink sink;
	Get *get;
} CountingSink;

static Error *
counting_write(Sink *sink, const void *data, size_t size)
{
	Get *get = ((CountingSink *) sink)->get;

	if (size > get->expected - get->got)
		return error_new(ERR_CORRUPT, "more bytes than were asked for");
	TRY(sink_write(get->into, data, size));
	get->got += size;
	return NULL;
}

static const SinkOps counting_ops = {.write = counting_write};

/* "bytes 0-9/100"; sizes that are not told ("*") are not taken. */
static bool
parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_total)
{
	return text != NULL &&
	       sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, ret_first, ret_last, ret_total) == 3 &&
	       *ret_first <= *ret_last && *ret_last < *ret_total;
}

static bool
is_ranged(const Get *get)
{
	return get->offset > 0 || get->size != STORE_TO_END || get->got > 0;
}

static Error *
expected_of_range(const Get *get, const HttpResponse *response, uint64_t length, uint64_t *ret_expected)
{
	const char *text = http_header(response, "content-range");
	uint64_t first = 0;
	uint64_t last = 0;
	uint64_t total = 0;
	uint64_t wanted;

	if (response->status != 206 || !parse_content_range(text, &first, &last, &total))
		return error_new(ERR_TRANSIENT, "the server did not answer with the range that was asked for");
	wanted = get->offset >= total ? 0 : total - get->offset;
	wanted = get->size < wanted ? get->size : wanted;
	if (first != get->offset + get->got || last + 1 != get->offset + wanted || length != last - first + 1)
		return error_new(ERR_TRANSIENT, "the server answered with another range (%s)", text);
	*ret_expected = wanted;
	return NULL;
}

static Error *
check_same_object(Get *get, const HttpResponse *response, uint64_t expected)
{
	const char *etag = http_header(response, "etag");

	if (get->answered && get->got > 0 &&
	    (expected != get->expected || (get->etag != NULL && (etag == NULL || strcmp(etag, get->etag) != 0))))
		return error_new(ERR_CORRUPT, "the object changed while it was read");
	free(get->etag);
	get->etag = mem_strdup(etag);
	get->expected = expected;
	get->answered = true;
	return NULL;
}

/* Before the first byte.  Without a length, the end of the connection would pass for the object's. */
static Error *
get_accept(void *context, const HttpResponse *response)
{
	Get *get = context;
	const char *text = http_header(response, "content-length");
	uint64_t expected = 0;

	if (text == NULL || !str_to_uint64(text, &expected))
		return error_new(ERR_TRANSIENT, "the server did not tell the object's length");
	if (is_ranged(get))
		TRY(expected_of_range(get, response, expected, &expected));
	else if (response->status != 200)
		return error_new(ERR_TRANSIENT, "the server answered with a range that nobody asked for");
	return check_same_object(get, response, expected);
}

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
	s3_call_header(call, "range", range);
	if (get->got > 0 && get->etag != NULL)
		s3_call_header(call, "if-match", get->etag);
}

static Error *
read_object(S3Store *store, const char *key, Get *get)
{
	CountingSink sink = {.sink.ops = &counting_ops, .get = get};
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "read object",
	                  .method = "GET",
	                  .key = key,
	                  .into = &sink.sink,
	                  .accept = get_accept,
	                  .again = set_range,
	                  .context = get};
	Error *error;

	set_range(&call);
	error = s3_call(store, &call, &answer);
	if (error == NULL && get->got != get->expected)
		return error_new(ERR_TRANSIENT, "could not read object \"%s\": it ended too early", key);
	if (get->got > 0 && answer.class == S3_TAKEN)
	{
		error_free(error);
		return error_new(ERR_CORRUPT, "object \"%s\" changed while it was read", key);
	}

	/* The range begins behind the end, or the object is empty: there is nothing to read, and no error. */
	if (error != NULL && answer.class == S3_BEYOND && get->got == 0)
	{
		error_free(error);
		return NULL;
	}
	return error;
}

Error *
s3_get(Store *base, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	Get get = {.offset = offset, .size = size, .into = into};
	StoreEntry entry;
	Error *error;

	/* Not even whether it is there can be asked with an empty range. */
	if (size == 0 || offset > OBJECT_SIZE_MAX)
		return s3_stat(base, key, &entry);
	error = read_object((S3Store *) base, key, &get);
	free(get.etag);
	return error;
}

static Error *
discard(Sink *sink, const void *data, size_t size)
{
	(void) sink;
	(void) data;
	(void) size;
	return NULL;
}

/*
 * A HEAD answer has no body, so 404 may mean that the bucket is missing, 403
 * that this key is, and 301 or 400 that the region is another one.  A GET of one
 * byte says which.
 */
static Error *
ask_why(Store *base, const char *key)
{
	static const SinkOps discard_ops = {.write = discard};
	Sink nowhere = {.ops = &discard_ops};

	return s3_get(base, key, 0, 1, &nowhere);
}

static Error *
head(S3Store *store, const char *key, StoreEntry *ret_entry, S3Answer *answer)
{
	AUTO_CALL call = {.action = "look at object", .method = "HEAD", .key = key};
	const char *length;
	StoreEntry entry = {.key = key};

	TRY(s3_call(store, &call, answer));
	length = http_header(&answer->http, "content-length");
	entry.modified = http_time(http_header(&answer->http, "last-modified"));
	if (length == NULL || !str_to_uint64(length, &entry.size))
		return error_new(ERR_TRANSIENT, "could not look at object \"%s\": the server did not tell its length",
		                 key);
	*ret_entry = entry;
	return NULL;
}

Error *
s3_stat(Store *base, const char *key, StoreEntry *ret_entry)
{
	AUTO_ANSWER first = {0};
	AUTO_ANSWER second = {0};
	Error *error = head((S3Store *) base, key, ret_entry, &first);

	if (error == NULL || first.class != S3_WRONG)
		return error;
	error_free(error);
	TRY(ask_why(base, key));

	/* It is there after all: the region was corrected on the way, or it was made in between. */
	return head((S3Store *) base, key, ret_entry, &second);
}
