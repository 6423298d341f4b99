/* Repeating a request: back-off, what the server asks for, deadlines. */
#include "walship/http/call.h"

#include <string.h>

#include "private.h"
#include "walship/base/crypto.h"
#include "walship/base/retry.h"

#define RETRY_AFTER_MOST_S 300

/* Without a meaning of the caller's. */
static Error *
check_status(const HttpResponse *response, HttpVerdict *ret_verdict)
{
	int status = response->status;

	if (status / 100 == 2)
		return NULL;
	if (status == 429 || status == 503)
		*ret_verdict = HTTP_AGAIN_SLOWLY;
	else if (status == 408 || status / 100 == 5)
		*ret_verdict = HTTP_AGAIN;
	return error_new(status == 401 || status == 403 ? ERR_DENIED : ERR_TRANSIENT,
	                 "the server refused (HTTP %d)", status);
}

/* In seconds; zero when it asks for nothing. */
static int64_t
asked_pause_s(const HttpCall *call, const HttpResponse *response)
{
	int64_t in_body_s = call->asked_pause_s == NULL ? 0 : call->asked_pause_s(call->context, response);
	const char *header = http_header(response, "retry-after");
	uint64_t asked_s = 0;

	if (in_body_s > 0)
		asked_s = (uint64_t) in_body_s;
	else if (header == NULL || !str_to_uint64(header, &asked_s))
		return 0;
	return (int64_t) (asked_s < RETRY_AFTER_MOST_S ? asked_s : RETRY_AFTER_MOST_S);
}

/* Full jitter, as far as the patience goes; but what the server asks for, also when that is longer. */
static int64_t
pause_before_next(const Patience *patience, int made, int64_t began_at_ms, HttpVerdict verdict,
                  int64_t asked_s)
{
	static const RetryPolicy ordinary = {.first_ms = 200, .most_ms = 20000};
	static const RetryPolicy slowly = {.first_ms = 1000, .most_ms = 20000};
	uint64_t random;
	int64_t drawn_ms;

	random_bytes(&random, sizeof(random));
	drawn_ms = retry_delay_ms(verdict == HTTP_AGAIN_SLOWLY ? &slowly : &ordinary, made - 1, random);
	/* What the server asks for, and little more. */
	return asked_s > 0 ? asked_s * 1000 + drawn_ms % 1000
	                   : patience_fit_pause_ms(patience, began_at_ms, clock_monotonic_ms(), drawn_ms);
}

Error *
http_call(HttpClient *client, const HttpCall *call, HttpResponse *response)
{
	HttpRequest request = call->request;
	int64_t began_at_ms = clock_monotonic_ms();
	bool ambiguous = false;
	bool told = false;
	int64_t unreached_ms = call->request.patience.unreached_ms;
	int made = 0; /* attempts since the last progress */

	for (;;)
	{
		HttpVerdict verdict = HTTP_FAILED;
		bool answered;
		int64_t pause_ms;
		Error *error;

		if (call->prepare != NULL)
			TRY(call->prepare(call->context, &request));
		error = http_perform(client, &request, response);
		answered = error == NULL;
		if (!answered && error_is(error, ERR_TRANSIENT) && !response->callers_error)
			verdict = HTTP_AGAIN;
		else if (answered)
			error = call->check_answer == NULL ? check_status(response, &verdict)
			                                   : call->check_answer(call->context, response, &verdict);
		ambiguous |= response->ambiguous;
		response->ambiguous = ambiguous;
		if (error == NULL)
			return NULL;
		if (verdict == HTTP_CORRECTED)
		{
			error_free(error);
			continue;
		}

		made++;
		if (response->received > 0)
		{
			if (call->prepare == NULL)
				return error;
			made = 1;
			began_at_ms = clock_monotonic_ms();
		}
		if (!atomic_load(&client->answered) && unreached_ms > 0 &&
		    (request.patience.retry_ms == 0 || unreached_ms < request.patience.retry_ms))
			request.patience.retry_ms = unreached_ms;
		pause_ms = pause_before_next(&request.patience, made, began_at_ms, verdict,
		                             answered ? asked_pause_s(call, response) : 0);
		if (verdict == HTTP_FAILED ||
		    !patience_allows_retry(&request.patience, made, began_at_ms, clock_monotonic_ms() + pause_ms))
			return error;
		if (!told && call->retrying != NULL)
			call->retrying(call->context, error);
		told = true;
		error_free(error);

		/* A server that failed may have done its work before. */
		ambiguous |= answered;
		TRY(patience_sleep_ms(&request.patience, pause_ms));
		request.fresh = true;
	}
}
