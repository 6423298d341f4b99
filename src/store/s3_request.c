/* A request to S3: its URL, its headers, its signature; sent once. */
#include <string.h>

#include "s3_private.h"
#include "walship/base/mem.h"

#define PARTING_MS 5000

/* Every provider checks Content-MD5, not every one the checksum that goes in its place. */
static void
tell_of_md5(S3Store *store)
{
	if (!atomic_exchange(&store->told_of_md5, true))
		s3_notice(store,
		          "this machine's policy has no MD5: objects are sent with a checksum by SHA-256 instead");
}

/* Everything that is signed. */
static void
collect_headers(S3Store *store, const S3Call *call, const char *host, const char *date, S3Pairs *headers)
{
	const S3Payload *payload = call->payload;

	s3_pairs_add(headers, "host", host);
	s3_pairs_add(headers, "x-amz-date", date);
	s3_pairs_add(headers, "x-amz-content-sha256", payload == NULL ? S3_EMPTY_SHA256 : payload->sha256);
	if (store->credentials.session_token != NULL)
		s3_pairs_add(headers, "x-amz-security-token", store->credentials.session_token);
	if (payload != NULL && payload->md5[0] != '\0')
		s3_pairs_add(headers, "content-md5", payload->md5);
	else if (payload != NULL)
	{
		tell_of_md5(store);
		s3_pairs_add(headers, "x-amz-checksum-sha256", payload->sha256_base64);
	}
	s3_pairs_add_all(headers, &call->headers);
}

static void
sign(S3Store *store, const S3SignRequest *request, Buf *into)
{
	S3Learned *learned = &store->learned;
	S3SigningKey key;

	(void) pthread_mutex_lock(&learned->mutex);
	if (!s3_sign_key_fits(&learned->key, request->date, request->region))
		s3_sign_key(store->credentials.secret_access_key, request->date, request->region, &learned->key);
	key = learned->key;
	(void) pthread_mutex_unlock(&learned->mutex);
	s3_sign(request, store->credentials.access_key_id, &key, into);
	explicit_bzero(&key, sizeof(key));
}

static TimeUs
server_time(S3Store *store)
{
	(void) pthread_mutex_lock(&store->learned.mutex);
	int64_t offset_us = store->learned.clock_offset_us;
	(void) pthread_mutex_unlock(&store->learned.mutex);
	return clock_now() + offset_us;
}

void
s3_request_url(const S3Store *store, const char *region, const char *key, const S3Pairs *pairs, Buf *url)
{
	AUTO_BUF(host, S3_SIGN_TEXT_MAX);
	AUTO_BUF(path, S3_SIGN_TEXT_MAX);
	AUTO_BUF(query, S3_SIGN_TEXT_MAX);

	s3_place_host(&store->place, region, &host);
	s3_place_path(&store->place, key, &path);
	s3_sign_query(pairs, &query);
	buf_printf(url, "%s://%s%s%s%s", store->place.scheme, host.data, path.data, query.size > 0 ? "?" : "",
	           query.size > 0 ? query.data : "");
}

/* The URL, and the headers as they are sent: libcurl writes "host" itself, the same one. */
static void
build(S3Store *store, const S3Call *call, Buf *url, StrList *lines)
{
	AUTO_FREE char *region = s3_learned_region(store);
	AUTO_PAIRS headers = {0};
	AUTO_BUF(host, S3_SIGN_TEXT_MAX);
	AUTO_BUF(path, S3_SIGN_TEXT_MAX);
	AUTO_BUF(authorization, S3_SIGN_TEXT_MAX);
	char date[S3_DATE_SIZE];

	s3_sign_date(server_time(store), date);
	s3_place_host(&store->place, region, &host);
	s3_place_path(&store->place, call->key, &path);
	s3_request_url(store, region, call->key, &call->query, url);

	collect_headers(store, call, host.data, date, &headers);
	S3SignRequest request = {.method = call->method,
	                         .path = path.data,
	                         .query = &call->query,
	                         .headers = &headers,
	                         .payload = call->payload == NULL ? S3_EMPTY_SHA256 : call->payload->sha256,
	                         .date = date,
	                         .region = region};

	sign(store, &request, &authorization);
	s3_pairs_add(&headers, "authorization", authorization.data);
	for (size_t i = 1; i < headers.count; i++)
	{
		AUTO_FREE char *line = mem_printf("%s: %s", headers.items[i].name, headers.items[i].value);

		strlist_add(lines, line);
	}
}

static int64_t
limit_of(const S3Store *store, const S3Call *call)
{
	return call->parting ? clock_monotonic_ms() + PARTING_MS : store->options.patience.abort_at_ms;
}

Error *
s3_request_send(S3Store *store, const S3Call *call, bool fresh, HttpResponse *response)
{
	AUTO_BUF(url, S3_SIGN_TEXT_MAX);
	AUTO_STRLIST lines = {0};

	build(store, call, &url, &lines);
	HttpRequest request = {.method = call->method,
	                       .url = url.data,
	                       .headers = &lines,
	                       .body = call->payload == NULL ? NULL : call->payload->slices,
	                       .n_body = call->payload == NULL ? 0 : call->payload->n_slices,
	                       .has_body = call->payload != NULL,
	                       .into = call->into,
	                       .accept = call->accept,
	                       .context = call->context,
	                       .fresh = fresh,
	                       .even_when_cancelled = call->parting,
	                       .stop = call->stop,
	                       .stall_ms = call->stall_ms > 0 ? call->stall_ms : store->options.patience.stall_ms,
	                       .limit_ms = limit_of(store, call)};

	return s3_expected_perform(store, &request, response);
}
