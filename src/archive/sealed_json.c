/* Small sealed objects; see walship/archive/sealed_json.h. */
#include "walship/archive/sealed_json.h"

#include <inttypes.h>

#include "walship/archive/read_again.h"
#include "walship/archive/self_sha256.h"
#include "walship/pipe/stages.h"

#define SEALED_JSON_FORMAT 1

Error *
sealed_json_put(Store *store, const char *key, const JsonTable *table, const void *object)
{
	AUTO(Json) root = json_new_object();
	AUTO_BUF(text, SEALED_JSON_MAX);

	json_add_int(root, "format", SEALED_JSON_FORMAT);
	json_put(root, table, object);
	json_print(root, false, &text);
	self_sha256_append(&text);
	if (text.overflowed)
		return error_new(ERR_USAGE, "object \"%s\" would be longer than %d bytes", key, SEALED_JSON_MAX);

	Slice slice = slice_of_memory(text.data, text.size);

	return store_put(store, key, &slice, 1, PUT_IF_ABSENT);
}

static Error *
parse(const Buf *text, const JsonTable *table, void *object)
{
	AUTO(Json) root = NULL;
	int64_t format;

	TRY(json_parse(text->data, text->size, "object", &root));
	TRY(json_get_int(root, "format", &format));
	if (format != SEALED_JSON_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format version %" PRId64 " is unknown", format),
		                  "A newer walship wrote it. Update this one.");
	return json_take(root, table, object);
}

Error *
sealed_text_get(Store *store, const char *key, Buf *text)
{
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Sink) sink = buf_sink_new(text);

		buf_clear(text);
		error = store_get(store, key, 0, STORE_TO_END, sink);
		if (error == NULL)
			error =
				error_context(self_sha256_check(text->data == NULL ? "" : text->data, text->size, "object"),
			                  "could not read \"%s\" in store \"%s\"", key, store_url(store));
	} while (read_again(store, key, &error, &reads));
	return error;
}

Error *
sealed_json_get(Store *store, const char *key, const JsonTable *table, void *object)
{
	AUTO_BUF(text, SEALED_JSON_MAX);

	TRY(sealed_text_get(store, key, &text));
	return error_context(parse(&text, table, object), "could not read \"%s\" in store \"%s\"", key,
	                     store_url(store));
}
