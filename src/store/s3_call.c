/* A call to S3: a request (s3_request.c), judged by its answer, and sent again until the call is done or the time is over. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/retry.h"

#define PAUSE_STEP_MS      100
#define RETRY_AFTER_MOST_S 300
#define REASON_MAX         300
#define DAMAGED_MOST       2 /* the second time it is no accident: memory, or something in between */

/* Where a call stands between its attempts. */
typedef struct Course
{
	int attempt;      /* since the last progress */
	int64_t began_ms; /* likewise */
	int damaged;
	bool fresh;
	bool clock_corrected;
	bool region_corrected;
	bool told;
} Course;

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

void
s3_call_query(S3Call *call, const char *name, const char *value)
{
	s3_pairs_set(&call->query, name, value);
}

void
s3_call_header(S3Call *call, const char *name, const char *value)
{
	s3_pairs_set(&call->headers, name, value);
}

char *
s3_object_url(const S3Store *store, const char *key)
{
	return mem_printf("s3://%s/%s%s", store->place.bucket, store->place.prefix, key == NULL ? "" : key);
}

void
s3_notice(const S3Store *store, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *message = mem_vprintf(format, arguments);
	va_end(arguments);
	notice(&store->options.notices, store->options.patience.quiet ? LOG_DEBUG : LOG_WARNING, NULL, "%s",
	       message);
}

/* Text from the network: one line, not too long, nothing that a terminal would act on. */
static void
append_clean(Buf *into, const char *text)
{
	size_t length = strnlen(text, REASON_MAX);

	for (size_t i = 0; i < length; i++)
		buf_putc(into, (unsigned char) text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
}

static void
append_id(Buf *into, const HttpResponse *response, const char *header, const char *label)
{
	const char *id = http_header(response, header);

	if (id != NULL)
	{
		buf_printf(into, ", %s ", label);
		append_clean(into, id);
	}
}

Error *
s3_error_of(const S3Meaning *meaning, const char *code, const char *message, const HttpResponse *response)
{
	AUTO_BUF(reason, 8 * REASON_MAX);

	append_clean(&reason, message != NULL && message[0] != '\0' ? message : "the server refused");
	buf_puts(&reason, " (");
	if (code != NULL)
	{
		append_clean(&reason, code);
		buf_puts(&reason, ", ");
	}
	buf_printf(&reason, "HTTP %d", response->status);
	append_id(&reason, response, "x-amz-request-id", "request id");
	append_id(&reason, response, "x-amz-id-2", "host id");
	append_id(&reason, response, "cf-ray", "ray");
	buf_putc(&reason, ')');

	Error *error = error_new(s3_class_kind(meaning->class), "%s", reason.data);

	return meaning->hint == NULL ? error : error_hint(error, "%s", meaning->hint);
}

static Error *
error_of_answer(const S3Answer *answer, const S3Meaning *meaning)
{
	const HttpResponse *http = &answer->http;
	AUTO_FREE char *message = s3_xml_find(http->body.data, http->body.size, "Error/Message");

	return s3_error_of(meaning, answer->code, message, http);
}

/* A HEAD answer has no body: why it failed must be asked another way, by the verb. */
static bool
says_nothing(const S3Call *call, int status)
{
	return strcmp(call->method, "HEAD") == 0 && (status / 100 == 3 || status / 100 == 4) && status != 408 &&
	       status != 429;
}

/* One attempt; answer->class says what came of it. */
static Error *
attempt(S3Store *store, const S3Call *call, const Course *course, S3Answer *answer)
{
	HttpResponse *http = &answer->http;
	Error *error = s3_request_send(store, call, course->fresh, http);
	const S3Meaning *meaning;

	free(answer->code);
	answer->code = NULL;
	answer->class = S3_NO_ANSWER;
	TRY(error);
	if (http->body.size > 0)
		answer->code = s3_xml_find(http->body.data, http->body.size, "Error/Code");

	/* An error inside of a 200, which some calls may give, is the server's trouble. */
	meaning = s3_meaning(answer->code, http->status / 100 == 2 ? 500 : http->status);
	if (http->status / 100 == 2 && answer->code == NULL)
	{
		answer->class = S3_AGAIN;
		if (call->judge != NULL)
			TRY(call->judge(call->context, http));
		answer->class = S3_DONE;
		return NULL;
	}
	answer->class = meaning->class;
	if (says_nothing(call, http->status))
	{
		answer->class = S3_WRONG;
		return error_new(ERR_USAGE, "HTTP %d", http->status);
	}
	return error_of_answer(answer, meaning);
}

/* From the answer's own time; false when it has none. */
static bool
correct_clock(S3Store *store, const S3Answer *answer)
{
	TimeUs theirs = http_time(http_header(&answer->http, "date"));
	int64_t offset_us;

	if (theirs == TIME_NONE)
		return false;
	offset_us = theirs - clock_now();
	(void) pthread_mutex_lock(&store->learned.mutex);
	store->learned.clock_offset_us = offset_us;
	(void) pthread_mutex_unlock(&store->learned.mutex);
	s3_notice(store,
	          "this machine's clock is off by %" PRId64 " s from that of the store; its requests are "
	          "dated by the store's clock",
	          -offset_us / 1000000);
	return true;
}

/* AWS names the region in a header, others in the answer. */
static bool
correct_region(S3Store *store, const S3Answer *answer)
{
	const HttpResponse *http = &answer->http;
	const char *header = http_header(http, "x-amz-bucket-region");
	AUTO_FREE char *region =
		header != NULL ? mem_strdup(header) : s3_xml_find(http->body.data, http->body.size, "Error/Region");
	AUTO_FREE char *before = s3_learned_region(store);

	if (region == NULL || region[0] == '\0' || strlen(region) >= S3_SIGNED_REGIONS ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
	        strlen(region) ||
	    str_equal(region, before))
		return false;
	s3_learn_region(store, region);
	s3_notice(store, "bucket \"%s\" is in region \"%s\", not \"%s\": set s3_region = %s", store->place.bucket,
	          region, before, region);
	return true;
}

static bool
corrected(S3Store *store, const S3Answer *answer, Course *course)
{
	if (answer->class == S3_CLOCK && !course->clock_corrected)
	{
		course->clock_corrected = true;
		return correct_clock(store, answer);
	}
	if (answer->class == S3_REGION && !course->region_corrected)
	{
		course->region_corrected = true;
		return correct_region(store, answer);
	}
	return false;
}

/* Full jitter; but what the server asks for, and little more. */
static int64_t
pause_before_next(const S3Answer *answer, const Course *course)
{
	static const RetryPolicy ordinary = {.first_ms = 200, .most_ms = 20000};
	static const RetryPolicy throttled = {.first_ms = 1000, .most_ms = 20000};
	const char *asked = answer->class == S3_NO_ANSWER ? NULL : http_header(&answer->http, "retry-after");
	uint64_t asked_s = 0;
	uint64_t random;
	int64_t pause_ms;

	random_bytes(&random, sizeof(random));
	pause_ms =
		retry_delay_ms(answer->class == S3_THROTTLED ? &throttled : &ordinary, course->attempt, random);
	if (asked != NULL && str_to_uint64(asked, &asked_s) && asked_s > 0)
		pause_ms =
			(int64_t) (asked_s < RETRY_AFTER_MOST_S ? asked_s : RETRY_AFTER_MOST_S) * 1000 + pause_ms % 1000;
	return pause_ms;
}

static bool
is_worth_another_try(const S3Store *store, const S3Call *call, const Error *error, const S3Answer *answer,
                     Course *course, int64_t pause_ms)
{
	int64_t next_ms = clock_monotonic_ms() + pause_ms;

	if (!error_is(error, ERR_TRANSIENT) || !s3_class_is_passing(answer->class) ||
	    answer->http.callers_error || call->parting || (call->into != NULL && call->again == NULL))
		return false;
	if (answer->class == S3_DAMAGED && ++course->damaged >= DAMAGED_MOST)
		return false;
	if (call->attempts_most > 0 && course->attempt + 1 >= call->attempts_most)
		return false;
	return patience_allows_retry(&store->options.patience, course->attempt + 1, course->began_ms, next_ms);
}

static Error *
pause_for(const S3Call *call, int64_t pause_ms)
{
	int64_t until_ms = clock_monotonic_ms() + pause_ms;

	for (int64_t left = pause_ms; left > 0; left = until_ms - clock_monotonic_ms())
	{
		if (call->stop != NULL && atomic_load(call->stop))
			return error_new(ERR_CANCELLED, "request was given up");
		TRY(cancel_sleep_ms(call->stop != NULL && left > PAUSE_STEP_MS ? PAUSE_STEP_MS : left));
	}
	return NULL;
}

static Error *
name_the_object(const S3Store *store, const S3Call *call, Error *error)
{
	AUTO_FREE char *url = s3_object_url(store, call->key);

	if (error_is(error, ERR_CANCELLED))
		return error;
	return error_context(error, "could not %s \"%s\"", call->action, url);
}

Error *
s3_call(S3Store *store, S3Call *call, S3Answer *answer)
{
	Course course = {.began_ms = clock_monotonic_ms()};

	for (;;)
	{
		Error *error = attempt(store, call, &course, answer);

		if (error == NULL)
			return NULL;
		answer->ambiguous |= answer->http.ambiguous;
		if (answer->http.received > 0)
		{
			course.attempt = 0;
			course.began_ms = clock_monotonic_ms();
		}
		if (corrected(store, answer, &course))
		{
			error_free(error);
			continue;
		}

		int64_t pause_ms = pause_before_next(answer, &course);

		error = name_the_object(store, call, error);
		if (!is_worth_another_try(store, call, error, answer, &course, pause_ms))
			return error;
		if (!course.told)
			s3_notice(store, "%s; trying again", error_message(error));
		course.told = true;
		error_free(error);
		answer->ambiguous |= answer->class != S3_NO_ANSWER;
		TRY(pause_for(call, pause_ms));
		course.fresh = true;
		course.attempt++;
		if (call->again != NULL)
			call->again(call);
	}
}
