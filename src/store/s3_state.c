/*
 * What was found out about a bucket and its provider: told to the user, and kept
 * as a note in the state directory, so that the next process need not find it out
 * again.  Losing the note costs a request, so neither reading nor writing it can
 * fail.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/mem.h"
#include "walship/base/state_note.h"

/* What S3 itself overlooks. */
#define CLOCK_OFFSET_MOST_US (INT64_C(15) * 60 * 1000000)

static const char *const conditional_names[] = {
	[S3_CONDITIONAL_UNKNOWN] = "unknown",
	[S3_CONDITIONAL_HONOURED] = "honoured",
	[S3_CONDITIONAL_REFUSED] = "refused",
	[S3_CONDITIONAL_IGNORED] = "ignored",
};

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

/* False: nothing is kept. */
static bool
make_note(const S3Store *store, StateNote *ret_note)
{
	const S3Address *address = &store->address;
	AUTO_FREE char *bucket = mem_printf("%s://%s/%s", address->scheme,
	                                    address->host == NULL ? "aws" : address->host, address->bucket);
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	if (store->options.state_dir == NULL)
		return false;
	sha256_of(bucket, strlen(bucket), digest);
	hex_encode(digest, sizeof(digest), hex);
	*ret_note = (StateNote){.directory = store->options.state_dir,
	                        .name = mem_printf("s3-%.16s", hex),
	                        .binding = mem_printf("bucket %s\n", bucket)};
	return true;
}

static void
take_line(S3Store *store, char *line)
{
	S3State *state = &store->state;
	const char *what = strsep(&line, " ");
	const char *value = strsep(&line, " ");
	const char *found = line;

	/* Found when this very region turned out to be the wrong one; another setting is another try. */
	if (strcmp(what, "region") == 0 && str_equal(value, store->options.region) && found != NULL &&
	    s3_region_is_valid(found))
	{
		free(state->region);
		state->region = mem_strdup(found);
	}
	for (size_t i = S3_CONDITIONAL_HONOURED; i < lengthof(conditional_names); i++)
	{
		if (strcmp(what, "if_none_match") == 0 && str_equal(value, conditional_names[i]))
			state->conditional = (S3Conditional) i;
	}
}

/* The note is read with the first use: opening a store is free of it, so that a push whose segment is safe is, too. */
static S3State *
lock_state(S3Store *store)
{
	S3State *state = &store->state;

	(void) pthread_mutex_lock(&state->mutex);
	if (!state->loaded)
	{
		AUTO_STATE_NOTE note = {0};
		AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

		state->loaded = true;
		state->conditional = s3_address_preset(&store->address);
		if (make_note(store, &note) && state_note_read(&note, &text) && text.size > 0)
		{
			char *rest = text.data;

			for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
				take_line(store, line);
		}
	}
	return state;
}

static void
unlock_state(S3Store *store)
{
	(void) pthread_mutex_unlock(&store->state.mutex);
}

/* Under the mutex: of two threads that find something out, the later one writes what both did. */
static void
write_note(const S3Store *store)
{
	AUTO_STATE_NOTE note = {0};
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	if (!make_note(store, &note))
		return;
	if (!str_equal(store->options.region, store->state.region))
		buf_printf(&text, "region %s %s\n", store->options.region, store->state.region);
	if (store->state.conditional != S3_CONDITIONAL_UNKNOWN)
		buf_printf(&text, "if_none_match %s\n", conditional_names[store->state.conditional]);
	error_free(state_note_write(&note, text.size == 0 ? "" : text.data));
}

S3Conditional
s3_state_conditional(S3Store *store)
{
	S3Conditional conditional = lock_state(store)->conditional;

	unlock_state(store);
	return conditional;
}

void
s3_state_set_conditional(S3Store *store, S3Conditional conditional)
{
	S3State *state = lock_state(store);

	if (state->conditional != conditional)
	{
		state->conditional = conditional;
		write_note(store);
	}
	unlock_state(store);
}

char *
s3_state_region(S3Store *store)
{
	char *region = mem_strdup(lock_state(store)->region);

	unlock_state(store);
	return region;
}

/* AWS names the region in a header, others in the answer. */
bool
s3_state_correct_region(S3Store *store, const char *asked, const HttpResponse *response)
{
	const char *header = http_header(response, "x-amz-bucket-region");
	AUTO_FREE char *region = header != NULL
	                             ? mem_strdup(header)
	                             : s3_xml_find(response->body.data, response->body.size, "Error/Region");
	S3State *state;
	bool is_new;

	if (region == NULL || str_equal(region, asked) || !s3_region_is_valid(region))
		return false;
	state = lock_state(store);
	is_new = !str_equal(state->region, region); /* another thread may have been told before */
	if (is_new)
	{
		free(state->region);
		state->region = mem_strdup(region);
		write_note(store);
	}
	unlock_state(store);
	if (is_new)
		s3_notice(store, "bucket \"%s\" is in region \"%s\", not \"%s\": set s3_region = %s",
		          store->address.bucket, region, asked, region);
	return true;
}

/*
 * Whoever answers says what time we sign for, and could keep what is signed for
 * another time until it is good for use.  So more than S3 itself overlooks is no
 * correction: then either this machine's clock is wrong, which is to be mended
 * here (commits and backups are dated by it), or this is not the store.
 */
bool
s3_state_correct_clock(S3Store *store, const HttpResponse *response)
{
	TimeUs theirs = http_time(http_header(response, "date"));
	int64_t offset_us = theirs == TIME_NONE ? 0 : theirs - clock_now(); /* there may be no date */

	if (theirs == TIME_NONE || offset_us > CLOCK_OFFSET_MOST_US || offset_us < -CLOCK_OFFSET_MOST_US)
		return false;
	lock_state(store)->clock_offset_us = offset_us;
	unlock_state(store);
	s3_notice(store,
	          "this machine's clock is off by %" PRId64 " s from that of the store; its requests are "
	          "dated by the store's clock",
	          -offset_us / 1000000);
	return true;
}

TimeUs
s3_state_time(S3Store *store)
{
	int64_t offset_us = lock_state(store)->clock_offset_us;

	unlock_state(store);
	return clock_now() + offset_us;
}

void
s3_state_signing_key(S3Store *store, const char *date, const char *region, S3SigningKey *ret_key)
{
	S3State *state = lock_state(store);

	if (!s3_sign_key_fits(&state->key, date, region))
		s3_sign_key(store->credentials.secret_access_key, date, region, &state->key);
	*ret_key = state->key;
	unlock_state(store);
}
