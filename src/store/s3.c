/*
 * S3 as a store: opening it, and the call by which all its verbs speak to it: a
 * request that is signed anew for every attempt, and sent until its answer is the
 * wanted one.  When to try again is http_call()'s; what the answers of S3 mean is
 * said here, by the table of s3_error.c.
 */
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/mem.h"

#define DEFAULT_REGION "us-east-1"
#define HASH_STEP      (1024u * 1024)
#define CLEANUP_MS     5000
#define DAMAGED_MOST   2 /* the second time it is no accident: memory, or something in between */

char *
s3_object_url(const S3Store *store, const char *key)
{
	return mem_printf("s3://%s/%s%s", store->address.bucket, store->address.prefix, key == NULL ? "" : key);
}

Error *
s3_payload(const Slice *slices, int n_slices, S3Checksum checksum, S3Payload *ret_payload)
{
	S3Payload payload = {.slices = slices, .n_slices = n_slices, .checksum = checksum};
	AUTO_FREE void *buffer = NULL; /* for what is in a file */
	AUTO(Sha256) sha = sha256_new();
	AUTO(Md5) md5 = checksum == S3_CHECKSUM_MD5 ? md5_new() : NULL;
	uint8_t sha256[SHA256_SIZE];
	uint8_t md5_digest[MD5_SIZE];

	for (int i = 0; i < n_slices; i++)
	{
		const Slice *slice = &slices[i];
		size_t got = 0;

		/* In steps, so that the second digest finds the bytes in the processor's cache. */
		for (uint64_t at = 0; at < slice->size; at += got)
		{
			const uint8_t *bytes = slice->data;

			if (bytes != NULL)
			{
				bytes += at;
				got = slice->size - at < HASH_STEP ? (size_t) (slice->size - at) : HASH_STEP;
			}
			else
			{
				if (buffer == NULL)
					buffer = mem_alloc(HASH_STEP);
				TRY(slice_read(slice, at, buffer, HASH_STEP, &got));
				bytes = buffer;
			}
			sha256_update(sha, bytes, got);
			if (md5 != NULL)
				md5_update(md5, bytes, got);
		}
		payload.size += slice->size;
	}
	sha256_final(sha, sha256);
	hex_encode(sha256, sizeof(sha256), payload.sha256);
	base64_encode(sha256, sizeof(sha256), payload.sha256_base64);
	if (md5 != NULL)
	{
		md5_final(md5, md5_digest);
		base64_encode(md5_digest, sizeof(md5_digest), payload.md5);
		hex_encode(md5_digest, sizeof(md5_digest), payload.md5_hex);
	}
	*ret_payload = payload;
	return NULL;
}

void
s3_call_release(S3Call *call)
{
	s3_pairs_release(&call->query);
	s3_pairs_release(&call->headers);
}

void
s3_answer_release(S3Answer *answer)
{
	http_response_release(&answer->http);
	free(answer->code);
}

Patience
s3_cleanup_patience(const S3Store *store)
{
	return (Patience){.connect_ms = store->options.patience.connect_ms,
	                  .stall_ms = store->options.patience.stall_ms,
	                  .attempts = 1,
	                  .abort_at_ms = clock_monotonic_ms() + CLEANUP_MS,
	                  .even_when_cancelled = true};
}

/* What stands between the attempts of a call. */
typedef struct Attempts
{
	S3Store *store;
	S3Call *call;
	S3Answer *answer;
	char *region; /* of the last attempt, like what follows */
	Buf url;
	StrList headers; /* as lines */
	int damaged;
	bool clock_corrected;
	bool region_corrected;
} Attempts;

static void
write_url(const S3Store *store, const char *region, const char *key, const S3Pairs *pairs, Buf *url)
{
	AUTO_BUF(query, S3_SIGN_TEXT_MAX);

	s3_sign_query(pairs, &query);
	buf_printf(url, "%s://", store->address.scheme);
	s3_address_host(&store->address, region, url);
	s3_address_path(&store->address, key, url);
	if (query.size > 0)
		buf_printf(url, "?%s", query.data);
}

void
s3_object_address(S3Store *store, const char *key, Buf *url)
{
	AUTO_FREE char *region = s3_state_region(store);
	const S3Pairs no_query = {0};

	write_url(store, region, key, &no_query, url);
}

/* Everything that is signed. */
static void
collect_headers(S3Store *store, const S3Call *call, const char *host, const char *date, S3Pairs *headers)
{
	const S3Payload *payload = call->payload;

	s3_pairs_set(headers, "host", host);
	s3_pairs_set(headers, "x-amz-date", date);
	s3_pairs_set(headers, "x-amz-content-sha256", payload == NULL ? S3_EMPTY_SHA256 : payload->sha256);
	if (store->credentials.session_token != NULL)
		s3_pairs_set(headers, "x-amz-security-token", store->credentials.session_token);

	/* Every provider checks Content-MD5, not every one the checksum that goes in its place. */
	if (payload != NULL && payload->md5[0] != '\0')
		s3_pairs_set(headers, "content-md5", payload->md5);
	else if (payload != NULL && payload->checksum != S3_CHECKSUM_NONE)
	{
		if (!atomic_exchange(&store->told_of_md5, true))
			s3_notice(
				store,
				"this machine's policy has no MD5: objects are sent with a checksum by SHA-256 instead");
		s3_pairs_set(headers, "x-amz-checksum-sha256", payload->sha256_base64);
	}
	for (size_t i = 0; i < call->headers.count; i++)
		s3_pairs_set(headers, call->headers.items[i].name, call->headers.items[i].value);
}

/* What becomes a part of a header must not end it and begin another one.  The value may be a secret. */
static Error *
check_header(const S3Pair *header)
{
	for (const char *c = header->value; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			return error_hint(
				error_new(ERR_USAGE, "its header \"%s\" contains a control character", header->name),
				"One is in the access key, in the session token, or in the setting of S3 that this header is for.");
	}
	return NULL;
}

/* URL, headers and signature of an attempt: dated now, for the region as it is known now. */
static Error *
sign_attempt(void *context, HttpRequest *request)
{
	Attempts *attempts = context;
	S3Store *store = attempts->store;
	S3Call *call = attempts->call;
	AUTO_PAIRS headers = {0};
	AUTO_BUF(host, S3_SIGN_TEXT_MAX);
	AUTO_BUF(path, S3_SIGN_TEXT_MAX);
	AUTO_BUF(authorization, S3_SIGN_TEXT_MAX);
	char date[S3_DATE_SIZE];
	S3SigningKey key;

	attempts->answer->class = S3_NO_ANSWER;
	free(attempts->answer->code);
	attempts->answer->code = NULL;
	if (call->prepare != NULL)
		call->prepare(call);

	free(attempts->region);
	attempts->region = s3_state_region(store);
	buf_clear(&attempts->url);
	write_url(store, attempts->region, call->key, &call->query, &attempts->url);
	s3_address_host(&store->address, attempts->region, &host);
	s3_address_path(&store->address, call->key, &path);
	s3_sign_date(s3_state_time(store), date);
	collect_headers(store, call, host.data, date, &headers);
	s3_state_signing_key(store, date, attempts->region, &key);
	s3_sign(&(S3SignRequest){.method = call->method,
	                         .path = path.data,
	                         .query = &call->query,
	                         .headers = &headers,
	                         .payload = call->payload == NULL ? S3_EMPTY_SHA256 : call->payload->sha256,
	                         .date = date,
	                         .region = attempts->region},
	        store->credentials.access_key_id, &key, &authorization);
	explicit_bzero(&key, sizeof(key));
	s3_pairs_set(&headers, "authorization", authorization.data);

	/* As they are sent: libcurl writes "host", the first of them, itself, the same one. */
	strlist_release(&attempts->headers);
	for (size_t i = 1; i < headers.count; i++)
	{
		AUTO_FREE char *line = mem_printf("%s: %s", headers.items[i].name, headers.items[i].value);

		TRY(check_header(&headers.items[i]));
		strlist_add(&attempts->headers, line);
	}
	request->url = attempts->url.data;
	request->headers = &attempts->headers;
	return NULL;
}

/* What can be corrected, is; once, for a server that finds fault with it again means something else. */
static HttpVerdict
handle_error(Attempts *attempts, const HttpResponse *response)
{
	switch (attempts->answer->class)
	{
		case S3_TRANSIENT:
			return HTTP_AGAIN;
		case S3_THROTTLED:
			return HTTP_AGAIN_SLOWLY;
		case S3_DAMAGED:
			return ++attempts->damaged < DAMAGED_MOST ? HTTP_AGAIN : HTTP_FAILED;
		case S3_CLOCK:
			if (attempts->clock_corrected)
				return HTTP_FAILED;
			attempts->clock_corrected = true;
			return s3_state_correct_clock(attempts->store, response) ? HTTP_CORRECTED : HTTP_FAILED;
		case S3_REGION:
			if (attempts->region_corrected)
				return HTTP_FAILED;
			attempts->region_corrected = true;
			return s3_state_correct_region(attempts->store, attempts->region, response) ? HTTP_CORRECTED
			                                                                            : HTTP_FAILED;
		default:
			return HTTP_FAILED;
	}
}

/* Only of a key that was asked for can it be said that it is not there, and only by a 404. */
static bool
can_be_absent(const S3Call *call, int status)
{
	return status == 404 && call->key != NULL &&
	       (strcmp(call->method, "GET") == 0 || strcmp(call->method, "DELETE") == 0);
}

/* Whose clock is wrong is seen when both are told. */
static Error *
tell_clocks(Error *error, const HttpResponse *response)
{
	TimeUs theirs = http_time(http_header(response, "date"));
	char there[TIME_TEXT_SIZE];
	char here[TIME_TEXT_SIZE];

	if (theirs == TIME_NONE)
		return error;
	return error_context(error, "it is %s by the store's clock, and %s by this machine's",
	                     time_format_utc(theirs, there), time_format_utc(clock_now(), here));
}

static Error *
check_answer(void *context, const HttpResponse *response, HttpVerdict *ret_verdict)
{
	Attempts *attempts = context;
	S3Call *call = attempts->call;
	S3Answer *answer = attempts->answer;
	AUTO_FREE char *message = NULL;
	int status = response->status;
	const S3ErrorRule *rule;
	Error *error;

	if (response->body.size > 0)
	{
		answer->code = s3_xml_find(response->body.data, response->body.size, "Error/Code");
		message = s3_xml_find(response->body.data, response->body.size, "Error/Message");
	}
	if (status / 100 == 2 && answer->code == NULL)
	{
		error = call->check_answer == NULL ? NULL : call->check_answer(call->context, response);
		answer->class = error == NULL ? S3_DONE : S3_TRANSIENT;
		*ret_verdict = error_is(error, ERR_TRANSIENT) ? HTTP_AGAIN : HTTP_FAILED;
		return error;
	}

	/* A HEAD answer has no body: why it failed must be asked another way, by the verb. */
	if (strcmp(call->method, "HEAD") == 0 && (status / 100 == 3 || status / 100 == 4) && status != 408 &&
	    status != 429)
	{
		answer->class = S3_WRONG;
		return error_new(ERR_TRANSIENT, "HTTP %d", status);
	}

	/* An error inside of a 200, which some calls may give, is the server's trouble. */
	rule = s3_error_rule(answer->code, status / 100 == 2 ? 500 : status);
	if (rule->class == S3_ABSENT && !can_be_absent(call, status))
		rule = s3_error_rule(NULL, 404);
	answer->class = rule->class;
	*ret_verdict = handle_error(attempts, response);
	error = s3_error_of(rule, answer->code, message, response);
	return rule->class == S3_CLOCK ? tell_clocks(error, response) : error;
}

static void
tell_of_retry(void *context, const Error *error)
{
	const Attempts *attempts = context;
	AUTO_FREE char *url = s3_object_url(attempts->store, attempts->call->key);

	s3_notice(attempts->store, "could not %s \"%s\": %s; trying again", attempts->call->action, url,
	          error_message(error));
}

Error *
s3_call(S3Store *store, S3Call *call, S3Answer *answer)
{
	Attempts attempts = {.store = store, .call = call, .answer = answer, .url.cap = S3_SIGN_TEXT_MAX};
	HttpCall http = {
		.request = {.method = call->method,
	                .body = call->payload == NULL ? NULL : call->payload->slices,
	                .n_body = call->payload == NULL ? 0 : call->payload->n_slices,
	                .has_body = call->payload != NULL,
	                .into = call->into,
	                .accept = call->accept,
	                .context = call->context,
	                .patience = call->patience == NULL ? store->options.patience : *call->patience},
		.prepare = sign_attempt,
		.check_answer = check_answer,
		.retrying = tell_of_retry,
		.context = &attempts};
	Error *error = http_call(store->http, &http, &answer->http);

	free(attempts.region);
	buf_release(&attempts.url);
	strlist_release(&attempts.headers);
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;

	AUTO_FREE char *url = s3_object_url(store, call->key);

	return error_context(error, "could not %s \"%s\"", call->action, url);
}

static void
s3_free(Store *base)
{
	S3Store *store = (S3Store *) base;

	http_client_free(store->http);
	s3_address_release(&store->address);
	s3_creds_release(&store->credentials);
	free(store->state.region);
	explicit_bzero(&store->state.key, sizeof(store->state.key));
	(void) pthread_mutex_destroy(&store->state.mutex);
	for (int i = 0; i < store->upload_slots.n_spare; i++)
		free(store->upload_slots.spare[i]);
	(void) pthread_cond_destroy(&store->upload_slots.changed);
	(void) pthread_mutex_destroy(&store->upload_slots.mutex);
	(void) pthread_mutex_destroy(&store->part_checksum.mutex);
	(void) pthread_mutex_destroy(&store->proof.mutex);
	free(store);
}

static void
s3_access(Store *base, StoreAccess *access)
{
	S3Store *store = (S3Store *) base;

	access->certificate = http_client_certificate(store->http);
	access->is_temporary = store->credentials.session_token != NULL;
	access->ends = store->credentials.ends;
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
	.access = s3_access,
};

Error *
s3_store_open(const S3Options *given, Store **ret_store)
{
	S3Store *store = NEW(S3Store);
	AUTO(Store) owner = &store->store;
	S3Options *options = &store->options;

	store->store.ops = &s3_store_ops;
	store->store.url = mem_strdup(given->url);
	*options = *given;
	(void) pthread_mutex_init(&store->state.mutex, NULL);
	(void) pthread_mutex_init(&store->proof.mutex, NULL);
	(void) pthread_mutex_init(&store->part_checksum.mutex, NULL);
	(void) pthread_mutex_init(&store->upload_slots.mutex, NULL);
	(void) pthread_cond_init(&store->upload_slots.changed, NULL);

	TRY(s3_creds_find(options, &store->credentials));
	TRY(s3_address_parse(options->url,
	                     options->endpoint != NULL ? options->endpoint : store->credentials.endpoint,
	                     options->path_style, &store->address));
	if (options->region == NULL)
		options->region = store->credentials.region != NULL ? store->credentials.region : DEFAULT_REGION;
	if (!s3_region_is_valid(options->region))
		return error_new(ERR_USAGE, "\"%s\" is no region", options->region);
	store->state.region = mem_strdup(options->region);

	/* At AWS the region says where a bucket is; the name of another host says so itself. */
	store->store.identity = mem_printf("%s://%s/%s/%s", store->address.scheme,
	                                   store->address.host != NULL ? store->address.host : options->region,
	                                   store->address.bucket, store->address.prefix);
	store->http = http_client_new(&(HttpOptions){.ca_file = options->ca_file,
	                                             .ca_setting = "s3_ca_file",
	                                             .endpoint_setting = "s3_endpoint",
	                                             .user_agent = options->user_agent,
	                                             .keeps_certificate = options->keeps_certificate});
	*ret_store = MOVE(owner);
	return NULL;
}
