/*
 * A request that is repeated, within its patience, until it has the answer that
 * is wanted.  When to repeat is decided here; what an answer means is said by
 * whoever calls: S3 has a table for it (src/store/s3_error.c), and who brings
 * none gets HTTP's own meaning of the status.
 */
#pragma once

#include "walship/http/http.h"

typedef enum HttpVerdict
{
	HTTP_FAILED,       /* it would be no better next time */
	HTTP_AGAIN,        /* it may be: after a pause, by a new connection */
	HTTP_AGAIN_SLOWLY, /* the server has too much to do */
	HTTP_CORRECTED,    /* it will be, at once: what was wrong is not any more.  Say so once for each reason */
} HttpVerdict;

typedef struct HttpCall
{
	/* "patience" bounds the attempts, too.  "fresh" is set here. */
	HttpRequest request;

	/*
	 * Before every attempt, the first one, too: what changes between them, as a
	 * signature, and the range that is left to read.  NULL: nothing does; then
	 * there is no second attempt once bytes went into the sink.
	 */
	Error *(*prepare)(void *context, HttpRequest *request);

	/* NULL when a complete answer is the one that is wanted, else an error, and what to do about it. */
	Error *(*check_answer)(void *context, const HttpResponse *response, HttpVerdict *ret_verdict);

	/*
	 * How long an answer asks to wait, in seconds, where it says so in its body; 0: it does not, and then its
	 * header Retry-After counts.  May be NULL.
	 */
	int64_t (*asked_pause_s)(void *context, const HttpResponse *response);

	/* Once, before the first repetition, with what went wrong.  May be NULL. */
	void (*retrying)(void *context, const Error *error);

	void *context; /* of these four */
} HttpCall;

/*
 * The response is the last attempt's, but for "ambiguous": that an attempt before
 * may have taken effect counts, too.
 */
Error *http_call(HttpClient *client, const HttpCall *call, HttpResponse *ret_response) MUST_CHECK;
