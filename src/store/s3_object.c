/* One object: writing it once, looking at it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3_private.h"
#include "walship/base/mem.h"

#define HINT_PORTAL "Is \"s3_endpoint\" the address of an S3 service, and no portal in between?"

void
s3_add_object_headers(const S3Store *store, S3Call *call)
{
	const S3Options *options = &store->options;

	if (options->storage_class != NULL)
		s3_pairs_set(&call->headers, "x-amz-storage-class", options->storage_class);
	if (options->sse != NULL)
		s3_pairs_set(&call->headers, "x-amz-server-side-encryption", options->sse);
	if (options->sse_kms_key_id != NULL)
		s3_pairs_set(&call->headers, "x-amz-server-side-encryption-aws-kms-key-id", options->sse_kms_key_id);
}

/* Every S3 names what it stores by an ETag: an answer without one is from something else. */
static Error *
check_etag(void *context, const HttpResponse *response)
{
	(void) context;
	if (http_header(response, "etag") == NULL)
		return error_hint(error_new(ERR_TRANSIENT, "the answer has no ETag: it is not that of an S3 service"),
		                  HINT_PORTAL);
	return NULL;
}

/* The ETag is the MD5 at most providers, but not of what was encrypted with a key of KMS. */
static bool
etag_is_md5(const char *etag, const S3Payload *payload)
{
	size_t length = strlen(payload->md5_hex);

	return length > 0 && etag[0] == '"' && strncasecmp(etag + 1, payload->md5_hex, length) == 0 &&
	       strcmp(etag + 1 + length, "\"") == 0;
}

static Error *
head(S3Store *store, const char *key, StoreEntry *ret_entry, S3Answer *answer)
{
	AUTO_CALL call = {.action = "look at object", .method = "HEAD", .key = key, .check_answer = check_etag};
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

/*
 * A portal that answers 200 to everything, and names an ETag as web servers do,
 * has stored nothing.  What cannot be told by the MD5 is asked for: the object is
 * there, of this size, under this ETag.  Who may not ask was refused by a service
 * that does not say yes to everything.
 */
static Error *
check_stored(S3Store *store, const char *key, const S3Payload *payload, const char *etag)
{
	AUTO_FREE char *url = s3_object_url(store, key);
	AUTO_ANSWER answer = {0};
	AUTO(Error) error = NULL;
	StoreEntry entry = {0};

	if (etag_is_md5(etag, payload))
		return NULL;
	error = head(store, key, &entry, &answer);
	if (error_is(error, ERR_CANCELLED))
		return MOVE(error);
	if (answer.http.status == 403 ||
	    (error == NULL && entry.size == payload->size && str_equal(http_header(&answer.http, "etag"), etag)))
		return NULL;
	return error_hint(
		error_new(
			ERR_TRANSIENT,
			"could not write object \"%s\": the answer is not that of an S3 service: its ETag is not the "
			"MD5 of what was sent, and %s",
			url, error == NULL ? "what is there now is something else" : error_message(error)),
		HINT_PORTAL);
}

static Error *
put_object(S3Store *store, const char *key, const S3Payload *payload, bool conditional, S3Answer *answer)
{
	AUTO_CALL call = {.action = "write object",
	                  .method = "PUT",
	                  .key = key,
	                  .payload = payload,
	                  .check_answer = check_etag};

	s3_add_object_headers(store, &call);
	if (conditional)
		s3_pairs_set(&call.headers, "if-none-match", "*");
	TRY(s3_call(store, &call, answer));
	return check_stored(store, key, payload, http_header(&answer->http, "etag"));
}

/* Does the provider itself refuse to overwrite?  Only what is proved counts. */
static bool
has_conditions(S3Store *store)
{
	return s3_state_conditional(store) == S3_CONDITIONAL_HONOURED;
}

/*
 * The same small object is put, under the condition that it is not there, until that
 * is refused or overlooked: one request, or two where nobody did it before.
 */
static Error *
prove_conditions(S3Store *store, S3Conditional *ret_conditional)
{
	Slice contents = slice_of_memory(STORE_PROBE_TEXT, sizeof(STORE_PROBE_TEXT) - 1);
	S3Payload payload;

	TRY(s3_payload(&contents, 1, S3_CHECKSUM_MD5, &payload));
	*ret_conditional = S3_CONDITIONAL_IGNORED;
	for (int i = 0; i < 2; i++)
	{
		AUTO_ANSWER answer = {0};
		AUTO(Error) error = put_object(store, STORE_PROBE_KEY, &payload, true, &answer);

		if (error == NULL)
			continue;
		if (answer.class != S3_TAKEN && answer.class != S3_UNSUPPORTED)
			return MOVE(error);
		*ret_conditional = answer.class == S3_TAKEN ? S3_CONDITIONAL_HONOURED : S3_CONDITIONAL_REFUSED;
		break;
	}
	s3_state_set_conditional(store, *ret_conditional);
	return NULL;
}

/*
 * Before the first write to a bucket of which nothing is known: a provider that
 * overlooks the condition would overwrite with that very write, so a proof behind it
 * comes too late.  The note of what was found may be deleted at any time; that costs
 * the proof again and nothing else.  Credentials that may not write that object prove
 * nothing: then walship looks itself.  Of several threads one proves, the others wait.
 */
static Error *
find_conditions(S3Store *store)
{
	S3Conditional conditional;
	Error *error = NULL;

	(void) pthread_mutex_lock(&store->proof.mutex);
	if (!store->proof.denied && s3_state_conditional(store) == S3_CONDITIONAL_UNKNOWN)
		error = prove_conditions(store, &conditional);
	if (error_is(error, ERR_DENIED))
	{
		store->proof.denied = true;
		error_free(error);
		error = NULL;
	}
	(void) pthread_mutex_unlock(&store->proof.mutex);
	return error;
}

/* Where it does not refuse, HEAD comes first, by a connection that is kept for the PUT. */
void
s3_expect_put(Store *base, const char *key)
{
	S3Store *store = (S3Store *) base;
	AUTO_BUF(url, S3_SIGN_TEXT_MAX);

	if (!has_conditions(store))
		return;
	s3_object_address(store, key, &url);
	http_expect_put(store->http, url.data, store->options.patience.connect_ms);
}

static Error *
error_taken(const S3Store *store, const char *key)
{
	AUTO_FREE char *url = s3_object_url(store, key);

	return error_new(ERR_EXISTS, "object \"%s\" exists already", url);
}

static Error *
hash_bytes(void *sha, const void *data, size_t size)
{
	sha256_update(sha, data, size);
	return NULL;
}

/*
 * The key is taken, but an answer of ours got lost before: was it taken by us?
 * Only the contents tell, at every provider.
 */
static Error *
compare_with_stored(S3Store *store, const char *key, const S3Payload *payload)
{
	AUTO(Sha256) sha = sha256_new();
	CallbackSink sink = callback_sink(hash_bytes, sha);
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	TRY(store_said_there(s3_get(&store->store, key, 0, STORE_TO_END, &sink.sink), key));
	sha256_final(sha, digest);
	hex_encode(digest, sizeof(digest), hex);
	return strcmp(hex, payload->sha256) == 0 ? NULL : error_taken(store, key);
}

Error *
s3_put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	S3Store *store = (S3Store *) base;
	AUTO_ANSWER answer = {0};
	S3Payload payload;
	StoreEntry entry;
	Error *error;

	TRY(s3_payload(slices, n_slices, S3_CHECKSUM_MD5, &payload));
	if (mode == PUT_REPLACE)
		return put_object(store, key, &payload, false, &answer);

	TRY(find_conditions(store));
	if (has_conditions(store))
	{
		error = put_object(store, key, &payload, true, &answer);
		if (error == NULL || (answer.class != S3_TAKEN && answer.class != S3_UNSUPPORTED))
			return error;
		error_free(error);
		s3_state_set_conditional(store,
		                         answer.class == S3_TAKEN ? S3_CONDITIONAL_HONOURED : S3_CONDITIONAL_REFUSED);
		if (answer.class == S3_TAKEN)
			return answer.http.ambiguous ? compare_with_stored(store, key, &payload)
			                             : error_taken(store, key);
	}

	/* No conditions here, so a look before.  PostgreSQL runs one archiver at a time. */
	error = s3_stat(base, key, &entry);
	if (error == NULL)
		return error_taken(store, key);
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return put_object(store, key, &payload, false, &answer);
}

Error *
s3_probe(Store *base, Buf *report)
{
	S3Store *store = (S3Store *) base;
	AUTO_FREE char *region = NULL;
	S3Conditional conditional;

	TRY(prove_conditions(store, &conditional));
	region = s3_state_region(store);
	buf_printf(report, "region %s, %s, ", region, store->address.path_style ? "path style" : "host style");
	if (strcmp(store->address.scheme, "http") == 0)
		buf_puts(report, "NOT encrypted on the way, ");
	if (conditional == S3_CONDITIONAL_HONOURED)
		buf_puts(report, "the provider itself refuses to overwrite (If-None-Match)");
	else
		buf_printf(report, "If-None-Match is %s: walship looks before it writes, with one more request",
		           conditional == S3_CONDITIONAL_REFUSED ? "not implemented" : "ignored");
	return NULL;
}

static Error *
discard_bytes(void *context, const void *data, size_t size)
{
	(void) context;
	(void) data;
	(void) size;
	return NULL;
}

Error *
s3_stat(Store *base, const char *key, StoreEntry *ret_entry)
{
	CallbackSink nowhere = callback_sink(discard_bytes, NULL);
	AUTO_ANSWER answer = {0};
	Error *error = head((S3Store *) base, key, ret_entry, &answer);

	if (error == NULL || answer.class != S3_WRONG)
		return error;

	/*
	 * A HEAD answer has no body, so 404 may mean that the bucket is missing, 403
	 * that this key is, and 301 or 400 that the region is another one.  A GET of one
	 * byte says which.
	 */
	error_free(error);
	TRY(s3_get(base, key, 0, 1, &nowhere.sink));

	/* It is there after all: the region was corrected on the way, or it was made in between. */
	return head((S3Store *) base, key, ret_entry, &answer);
}
