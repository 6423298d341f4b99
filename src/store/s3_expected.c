/* The object that is about to be put: its connection is made while its body is. */
#include <string.h>

#include "s3_private.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"

/* A connection that the server had closed while it waited shows that within a round trip. */
#define FAILS_WITHIN_MS 1000

/* Where the provider's conditions are no help, HEAD comes first, by a connection that is kept for the PUT. */
static bool
is_first_request(S3Store *store)
{
	S3Conditional conditional = s3_learned_conditional(store);

	return conditional != S3_CONDITIONAL_IGNORED && conditional != S3_CONDITIONAL_REFUSED;
}

void
s3_expect_put(Store *base, const char *key)
{
	S3Store *store = (S3Store *) base;
	AUTO_FREE char *region = s3_learned_region(store);
	const S3Pairs no_query = {0};
	AUTO_BUF(url, S3_SIGN_TEXT_MAX);

	if (!is_first_request(store))
		return;
	s3_request_url(store, region, key, &no_query, &url);
	(void) pthread_mutex_lock(&store->expected.mutex);
	if (store->expected.early == NULL)
		store->expected.early = http_early_begin(store->http, url.data);
	(void) pthread_mutex_unlock(&store->expected.mutex);
}

/* NULL: this is not the request that was expected. */
static HttpEarly *
take_early(S3Store *store, const HttpRequest *request)
{
	S3Expected *expected = &store->expected;
	HttpEarly *early = NULL;

	(void) pthread_mutex_lock(&expected->mutex);
	if (expected->early != NULL && !request->fresh && strcmp(request->method, "PUT") == 0 &&
	    http_early_is_for(expected->early, request->url))
		early = MOVE(expected->early);
	(void) pthread_mutex_unlock(&expected->mutex);
	return early;
}

/*
 * What befell the connection while it waited, or the attempt to make it, is nothing
 * that this request has met: it gets a new one, at once.
 */
Error *
s3_expected_perform(S3Store *store, const HttpRequest *request, HttpResponse *response)
{
	AUTO(HttpEarly) early = take_early(store, request);
	HttpRequest anew = *request;
	int64_t began_ms = clock_monotonic_ms();
	bool ambiguous;
	Error *error;

	if (early == NULL)
		return http_perform(store->http, request, response);
	error = http_early_perform(early, request, response);
	if (!error_is(error, ERR_TRANSIENT) || response->callers_error ||
	    clock_monotonic_ms() - began_ms >= FAILS_WITHIN_MS)
		return error;
	error_free(error);
	ambiguous = response->ambiguous;
	anew.fresh = true;
	error = http_perform(store->http, &anew, response);
	response->ambiguous |= ambiguous;
	return error;
}
