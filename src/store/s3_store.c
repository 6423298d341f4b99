/* S3 as a store: opening it, writing objects, and learning what the provider can do. */
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "walship/base/base64.h"
#include "walship/base/mem.h"

#define HASH_STEP      (1024u * 1024)
#define DEFAULT_REGION "us-east-1"

static Error *
hash_slice(const Slice *slice, void *buffer, Sha256 *sha, Md5 *md5)
{
	size_t got = 0;

	for (uint64_t at = 0; at < slice->size; at += got)
	{
		TRY(slice_read(slice, at, buffer, HASH_STEP, &got));
		if (got == 0)
			return error_new(ERR_SYSTEM, "a temporary file became shorter");
		sha256_update(sha, buffer, got);
		if (md5 != NULL)
			md5_update(md5, buffer, got);
	}
	return NULL;
}

Error *
s3_payload(const Slice *slices, int n_slices, S3Payload *ret_payload)
{
	S3Payload payload = {.slices = slices, .n_slices = n_slices};
	AUTO_FREE void *buffer = mem_alloc(HASH_STEP);
	AUTO(Sha256) sha = sha256_new();
	AUTO(Md5) md5 = md5_new();
	uint8_t sha256[SHA256_SIZE];
	uint8_t md5_digest[MD5_SIZE];

	for (int i = 0; i < n_slices; i++)
	{
		TRY(hash_slice(&slices[i], buffer, sha, md5));
		payload.size += slices[i].size;
	}
	sha256_final(sha, sha256);
	hex_encode(sha256, sizeof(sha256), payload.sha256);
	base64_encode(sha256, sizeof(sha256), payload.sha256_base64);
	if (md5 != NULL)
	{
		md5_final(md5, md5_digest);
		base64_encode(md5_digest, sizeof(md5_digest), payload.md5);
	}
	*ret_payload = payload;
	return NULL;
}

void
s3_add_object_headers(const S3Store *store, S3Call *call)
{
	if (store->storage_class != NULL)
		s3_call_header(call, "x-amz-storage-class", store->storage_class);
	if (store->sse != NULL)
		s3_call_header(call, "x-amz-server-side-encryption", store->sse);
	if (store->sse_kms_key_id != NULL)
		s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", store->sse_kms_key_id);
}

/* Every S3 names what it stored by an ETag: a 200 without one is from something else. */
static Error *
judge_put(void *context, const HttpResponse *response)
{
	(void) context;
	if (http_header(response, "etag") == NULL)
		return error_new(ERR_TRANSIENT, "the answer has no ETag: it is not that of an S3 service");
	return NULL;
}

static Error *
put_once(S3Store *store, const char *key, const S3Payload *payload, bool conditional, S3Answer *answer)
{
	AUTO_CALL call = {
		.action = "write object", .method = "PUT", .key = key, .payload = payload, .judge = judge_put};

	s3_add_object_headers(store, &call);
	if (conditional)
		s3_call_header(&call, "if-none-match", "*");
	return s3_call(store, &call, answer);
}

static Error *
error_taken(const S3Store *store, const char *key)
{
	AUTO_FREE char *url = s3_object_url(store, key);

	return error_new(ERR_EXISTS, "object \"%s\" exists already", url);
}

typedef struct HashingSink
{
	Sink sink;
	Sha256 *sha;
} HashingSink;

static Error *
hashing_write(Sink *sink, const void *data, size_t size)
{
	sha256_update(((HashingSink *) sink)->sha, data, size);
	return NULL;
}

static const SinkOps hashing_ops = {.write = hashing_write};

/*
 * The key is taken, but an answer of ours got lost before: was it taken by us?
 * Only the contents tell, at every provider.
 */
static Error *
settle_taken(S3Store *store, const char *key, const S3Payload *payload)
{
	AUTO(Sha256) sha = sha256_new();
	HashingSink sink = {.sink.ops = &hashing_ops, .sha = sha};
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	TRY(s3_get(&store->store, key, 0, STORE_TO_END, &sink.sink));
	sha256_final(sha, digest);
	hex_encode(digest, sizeof(digest), hex);
	return strcmp(hex, payload->sha256) == 0 ? NULL : error_taken(store, key);
}

/* Where the provider has no conditions: a look before.  PostgreSQL runs one archiver at a time. */
static Error *
look_and_put(S3Store *store, const char *key, const S3Payload *payload)
{
	AUTO_ANSWER answer = {0};
	StoreEntry entry;
	Error *error = s3_stat(&store->store, key, &entry);

	if (error == NULL)
		return error_taken(store, key);
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return put_once(store, key, payload, false, &answer);
}

static Error *
put_if_absent(S3Store *store, const char *key, const S3Payload *payload)
{
	AUTO_ANSWER answer = {0};
	S3Conditional conditional = s3_learned_conditional(store);
	Error *error;

	if (conditional == S3_CONDITIONAL_REFUSED || conditional == S3_CONDITIONAL_IGNORED)
		return look_and_put(store, key, payload);
	error = put_once(store, key, payload, true, &answer);
	if (error == NULL)
		return NULL;
	if (answer.class == S3_UNSUPPORTED)
	{
		error_free(error);
		s3_learn_conditional(store, S3_CONDITIONAL_REFUSED);
		return look_and_put(store, key, payload);
	}
	if (answer.class != S3_TAKEN)
		return error;
	error_free(error);
	s3_learn_conditional(store, S3_CONDITIONAL_HONOURED);
	return answer.ambiguous ? settle_taken(store, key, payload) : error_taken(store, key);
}

Error *
s3_put_payload(S3Store *store, const char *key, const S3Payload *payload, PutMode mode)
{
	AUTO_ANSWER answer = {0};

	if (mode == PUT_IF_ABSENT)
		return put_if_absent(store, key, payload);
	return put_once(store, key, payload, false, &answer);
}

static Error *
s3_put(Store *base, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	S3Payload payload;

	TRY(s3_payload(slices, n_slices, &payload));
	return s3_put_payload((S3Store *) base, key, &payload, mode);
}

/* The object is there, and is put again with the same contents under the condition that it is not there. */
static Error *
s3_probe(Store *base, const char *key, const Slice *slice, Buf *report)
{
	S3Store *store = (S3Store *) base;
	AUTO_ANSWER answer = {0};
	AUTO_FREE char *region = NULL;
	S3Payload payload;
	S3Conditional conditional = S3_CONDITIONAL_IGNORED;
	Error *error;

	TRY(s3_payload(slice, 1, &payload));
	error = put_once(store, key, &payload, true, &answer);
	if (error != NULL && answer.class == S3_TAKEN)
		conditional = S3_CONDITIONAL_HONOURED;
	else if (error != NULL && answer.class == S3_UNSUPPORTED)
		conditional = S3_CONDITIONAL_REFUSED;
	else if (error != NULL)
		return error;
	error_free(error);
	s3_learn_conditional(store, conditional);

	region = s3_learned_region(store);
	buf_printf(report, "region %s, %s, ", region, store->place.path_style ? "path style" : "host style");
	if (strcmp(store->place.scheme, "http") == 0)
		buf_puts(report, "NOT encrypted on the way, ");
	if (conditional == S3_CONDITIONAL_HONOURED)
		buf_puts(report, "the provider itself refuses to overwrite (If-None-Match)");
	else
		buf_printf(report, "If-None-Match is %s: walship looks before it writes, with one more request",
		           conditional == S3_CONDITIONAL_REFUSED ? "not implemented" : "ignored");
	return NULL;
}

static void
s3_free(Store *base)
{
	S3Store *store = (S3Store *) base;

	http_early_free(store->expected.early);
	http_client_free(store->http);
	s3_place_release(&store->place);
	s3_creds_release(&store->credentials);
	free(store->asked_region);
	free(store->state_dir);
	free(store->state_path);
	free(store->storage_class);
	free(store->sse);
	free(store->sse_kms_key_id);
	free(store->learned.region);
	explicit_bzero(&store->learned.key, sizeof(store->learned.key));
	(void) pthread_mutex_destroy(&store->learned.mutex);
	(void) pthread_mutex_destroy(&store->expected.mutex);
	(void) pthread_cond_destroy(&store->upload_turns.changed);
	(void) pthread_mutex_destroy(&store->upload_turns.mutex);
	free(store);
}

static const StoreOps s3_store_ops = {
	.put = s3_put,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.remove = s3_remove,
	.writer = s3_writer,
	.free = s3_free,
	.probe = s3_probe,
	.tidy = s3_tidy,
	.remove_many = s3_remove_many,
	.expect_put = s3_expect_put,
};

static const char *
given_or(const char *given, const char *fallback)
{
	return given != NULL ? given : fallback;
}

static Error *
set_region(S3Store *store)
{
	const char *region = given_or(store->options.region, given_or(store->credentials.region, DEFAULT_REGION));

	if (strlen(region) >= S3_SIGNED_REGIONS || strcspn(region, "/ \t\r\n") != strlen(region))
		return error_new(ERR_USAGE, "\"%s\" is no region", region);
	store->asked_region = mem_strdup(region);
	store->learned.region = mem_strdup(region);
	return NULL;
}

/* What becomes a part of a header must not end it and begin another one.  The value may be a secret. */
static Error *
check_header_texts(const S3Store *store)
{
	const struct
	{
		const char *name;
		const char *text;
	} texts[] = {
		{"access key", store->credentials.access_key_id},
		{"session token", store->credentials.session_token},
		{"s3_storage_class", store->storage_class},
		{"s3_sse_kms_key_id", store->sse_kms_key_id},
	};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		for (const char *c = texts[i].text; c != NULL && *c != '\0'; c++)
		{
			if ((unsigned char) *c < ' ' || *c == 0x7f)
				return error_new(ERR_USAGE, "%s of store \"%s\" contains a control character", texts[i].name,
				                 store->store.url);
		}
	}
	return NULL;
}

/* At AWS the region says where a bucket is; the name of another host says so itself. */
static char *
identity_of(const S3Store *store)
{
	const S3Place *place = &store->place;

	return mem_printf("%s://%s/%s/%s", place->scheme, place->host != NULL ? place->host : store->asked_region,
	                  place->bucket, place->prefix);
}

static Error *
open_parts(S3Store *store)
{
	const S3Options *options = &store->options;
	HttpOptions http = {.ca_file = options->ca_file,
	                    .user_agent = options->user_agent,
	                    .connect_ms = options->patience.connect_ms};

	TRY(s3_creds_find(options, &store->credentials));
	TRY(s3_place_parse(options->url, given_or(options->endpoint, store->credentials.endpoint),
	                   options->path_style, &store->place));
	TRY(set_region(store));
	TRY(check_header_texts(store));
	store->http = http_client_new(&http);
	store->store.identity = identity_of(store);
	return NULL;
}

/* What was only needed to open belongs to the caller and ends with his call. */
static void
forget_borrowed(S3Options *options)
{
	*options = (S3Options){.jobs = options->jobs, .patience = options->patience, .notices = options->notices};
}

Error *
s3_store_open(const S3Options *options, Store **ret_store)
{
	S3Store *store = NEW(S3Store);
	AUTO(Store) owner = &store->store;

	store->store.ops = &s3_store_ops;
	store->store.url = mem_strdup(options->url);
	store->options = *options;
	store->state_dir = mem_strdup(options->state_dir);
	store->storage_class = mem_strdup(options->storage_class);
	store->sse = mem_strdup(options->sse);
	store->sse_kms_key_id = mem_strdup(options->sse_kms_key_id);
	(void) pthread_mutex_init(&store->learned.mutex, NULL);
	(void) pthread_mutex_init(&store->expected.mutex, NULL);
	(void) pthread_mutex_init(&store->upload_turns.mutex, NULL);
	(void) pthread_cond_init(&store->upload_turns.changed, NULL);
	TRY(open_parts(store));
	forget_borrowed(&store->options);
	*ret_store = MOVE(owner);
	return NULL;
}
