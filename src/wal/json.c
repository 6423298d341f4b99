/* Values of the WAL in JSON. */
#include "walship/wal/json.h"

void
json_add_lsn(Json *into, const char *name, XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	json_add_string(into, name, lsn == InvalidXLogRecPtr ? NULL : lsn_format(lsn, text));
}

static bool
lsn_is_set(const JsonField *field, const void *object)
{
	return *(const XLogRecPtr *) json_at(field, object) != InvalidXLogRecPtr;
}

static void
lsn_put(const JsonField *field, const void *object, Json *into)
{
	json_add_lsn(into, field->name, *(const XLogRecPtr *) json_at(field, object));
}

static Error *
lsn_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);
	XLogRecPtr *lsn = json_at(field, object);

	if (json_is_null(node))
	{
		*lsn = InvalidXLogRecPtr;
		return NULL;
	}
	return text != NULL && lsn_parse(text, lsn) ? NULL : json_wrong(field, node);
}

const JsonKind json_lsn = {"an LSN", lsn_is_set, lsn_put, lsn_get};
