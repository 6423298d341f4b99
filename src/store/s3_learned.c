/*
 * What was found out about a bucket, kept in the state directory so that the
 * next process need not find it out again.  Losing it costs a request, so
 * neither reading nor writing it can fail.
 */
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "walship/base/file.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"

#define FORMAT         1
#define STATE_SIZE_MAX 4096

static const char *const conditional_names[] = {
	[S3_CONDITIONAL_UNKNOWN] = "unknown",
	[S3_CONDITIONAL_HONOURED] = "honoured",
	[S3_CONDITIONAL_REFUSED] = "refused",
	[S3_CONDITIONAL_IGNORED] = "ignored",
};

static char *
identity_of(const S3Store *store)
{
	return mem_printf("%s://%s/%s", store->place.scheme,
	                  store->place.host == NULL ? "aws" : store->place.host, store->place.bucket);
}

static char *
state_path(const S3Store *store)
{
	AUTO_FREE char *identity = identity_of(store);
	AUTO_FREE char *name = NULL;
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	if (store->state_dir == NULL)
		return NULL;
	sha256_of(identity, strlen(identity), digest);
	hex_encode(digest, sizeof(digest), hex);
	name = mem_printf("s3-%.16s.json", hex);
	return path_join(store->state_dir, name);
}

static void
take_region(S3Store *store, const Json *state)
{
	const char *asked = json_string_value(json_get(state, "asked_region"));
	const char *region = json_string_value(json_get(state, "region"));

	/* Learned when this very region turned out to be the wrong one; another setting is another try. */
	if (region == NULL || region[0] == '\0' || strlen(region) >= S3_SIGNED_REGIONS ||
	    !str_equal(asked, store->asked_region))
		return;
	free(store->learned.region);
	store->learned.region = mem_strdup(region);
}

static void
take_conditional(S3Store *store, const Json *state)
{
	const char *name = json_string_value(json_get(state, "if_none_match"));

	for (size_t i = S3_CONDITIONAL_HONOURED; name != NULL && i < lengthof(conditional_names); i++)
	{
		if (strcmp(conditional_names[i], name) == 0)
			store->learned.conditional = (S3Conditional) i;
	}
}

static void
load(S3Store *store)
{
	AUTO_BUF(text, STATE_SIZE_MAX);
	AUTO(Json) state = NULL;
	AUTO(Error) error = NULL;
	AUTO_FREE char *identity = identity_of(store);

	store->learned.conditional = s3_place_preset(&store->place);
	store->state_path = state_path(store);
	if (store->state_path == NULL)
		return;
	error = file_read_all(store->state_path, &text);
	if (error == NULL && text.size > 0)
		error = json_parse(text.data, text.size, store->state_path, &state);
	if (error != NULL || state == NULL || !str_equal(json_string_value(json_get(state, "bucket")), identity))
		return;
	take_region(store, state);
	take_conditional(store, state);
}

/* With the first use: opening a store is free of it, so that a push whose segment is safe is, too. */
static void
lock(S3Store *store)
{
	(void) pthread_mutex_lock(&store->learned.mutex);
	if (!store->learned.loaded)
		load(store);
	store->learned.loaded = true;
}

/* Under the mutex: of two threads that learn, the later one writes what both learned. */
static void
save(S3Store *store)
{
	AUTO_BUF(text, STATE_SIZE_MAX);
	AUTO_FREE char *identity = identity_of(store);
	AUTO(Json) state = json_new_object();

	if (store->state_path == NULL)
		return;
	json_add_int(state, "format", FORMAT);
	json_add_string(state, "bucket", identity);
	if (!str_equal(store->asked_region, store->learned.region))
	{
		json_add_string(state, "asked_region", store->asked_region);
		json_add_string(state, "region", store->learned.region);
	}
	if (store->learned.conditional != S3_CONDITIONAL_UNKNOWN)
		json_add_string(state, "if_none_match", conditional_names[store->learned.conditional]);
	json_print(state, true, &text);
	error_free(file_replace(store->state_path, text.data, text.size, 0600));
}

S3Conditional
s3_learned_conditional(S3Store *store)
{
	lock(store);
	S3Conditional conditional = store->learned.conditional;
	(void) pthread_mutex_unlock(&store->learned.mutex);
	return conditional;
}

void
s3_learn_conditional(S3Store *store, S3Conditional conditional)
{
	lock(store);
	if (store->learned.conditional != conditional)
	{
		store->learned.conditional = conditional;
		save(store);
	}
	(void) pthread_mutex_unlock(&store->learned.mutex);
}

char *
s3_learned_region(S3Store *store)
{
	lock(store);
	char *region = mem_strdup(store->learned.region);
	(void) pthread_mutex_unlock(&store->learned.mutex);
	return region;
}

void
s3_learn_region(S3Store *store, const char *region)
{
	lock(store);
	if (!str_equal(store->learned.region, region))
	{
		free(store->learned.region);
		store->learned.region = mem_strdup(region);
		save(store);
	}
	(void) pthread_mutex_unlock(&store->learned.mutex);
}
