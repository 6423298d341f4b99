/*
 * What was found out about a bucket and its provider, kept as a note in the state
 * directory, so that the next process need not find it out again.  Losing the note
 * costs a request, so neither reading nor writing it can fail.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/file.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"

#define FORMAT   1
#define NOTE_MAX 4096

static const char *const conditional_names[] = {
	[S3_CONDITIONAL_UNKNOWN] = "unknown",
	[S3_CONDITIONAL_HONOURED] = "honoured",
	[S3_CONDITIONAL_REFUSED] = "refused",
	[S3_CONDITIONAL_IGNORED] = "ignored",
};

static char *
identity_of_bucket(const S3Store *store)
{
	return mem_printf("%s://%s/%s", store->address.scheme,
	                  store->address.host == NULL ? "aws" : store->address.host, store->address.bucket);
}

/* NULL: nothing is kept. */
static char *
note_path(const S3Store *store)
{
	AUTO_FREE char *identity = identity_of_bucket(store);
	AUTO_FREE char *name = NULL;
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	if (store->options.state_dir == NULL)
		return NULL;
	sha256_of(identity, strlen(identity), digest);
	hex_encode(digest, sizeof(digest), hex);
	name = mem_printf("s3-%.16s.json", hex);
	return path_join(store->options.state_dir, name);
}

static void
take_note(S3Store *store, const Json *note)
{
	S3State *state = &store->state;
	AUTO_FREE char *identity = identity_of_bucket(store);
	const char *asked = json_string_value(json_get(note, "asked_region"));
	const char *region = json_string_value(json_get(note, "region"));
	const char *conditional = json_string_value(json_get(note, "if_none_match"));

	if (!str_equal(json_string_value(json_get(note, "bucket")), identity))
		return;

	/* Found out when this very region turned out to be the wrong one; another setting is another try. */
	if (region != NULL && region[0] != '\0' && strlen(region) < S3_SIGNED_REGIONS &&
	    str_equal(asked, store->options.region))
	{
		free(state->region);
		state->region = mem_strdup(region);
	}
	for (size_t i = S3_CONDITIONAL_HONOURED; conditional != NULL && i < lengthof(conditional_names); i++)
	{
		if (strcmp(conditional_names[i], conditional) == 0)
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
		AUTO_FREE char *path = note_path(store);
		AUTO_BUF(text, NOTE_MAX);
		AUTO(Json) note = NULL;
		AUTO(Error) error = path == NULL ? NULL : file_read_all(path, &text);

		state->conditional = s3_address_preset(&store->address);
		if (error == NULL && text.size > 0)
			error = json_parse(text.data, text.size, path, &note);
		if (note != NULL)
			take_note(store, note);
		state->loaded = true;
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
	AUTO_FREE char *path = note_path(store);
	AUTO_FREE char *identity = identity_of_bucket(store);
	AUTO_BUF(text, NOTE_MAX);
	AUTO(Json) note = json_new_object();

	if (path == NULL)
		return;
	json_add_int(note, "format", FORMAT);
	json_add_string(note, "bucket", identity);
	if (!str_equal(store->options.region, store->state.region))
	{
		json_add_string(note, "asked_region", store->options.region);
		json_add_string(note, "region", store->state.region);
	}
	if (store->state.conditional != S3_CONDITIONAL_UNKNOWN)
		json_add_string(note, "if_none_match", conditional_names[store->state.conditional]);
	json_print(note, true, &text);
	error_free(file_replace(path, text.data, text.size, 0600));
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

	if (region == NULL || str_equal(region, asked) || region[0] == '\0' ||
	    strlen(region) >= S3_SIGNED_REGIONS ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(region))
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

bool
s3_state_correct_clock(S3Store *store, const HttpResponse *response)
{
	TimeUs theirs = http_time(http_header(response, "date"));
	int64_t offset_us = theirs - clock_now();

	if (theirs == TIME_NONE)
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
