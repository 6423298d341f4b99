/* Values of the WAL in JSON. */
#include "walship/wal/json.h"

#include <string.h>

#include "walship/base/strs.h"
#include "walship/wal/record.h"

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

static bool
edge_is_set(const JsonField *field, const void *object)
{
	return ((const WalEdge *) json_at(field, object))->size > 0;
}

static void
edge_put(const JsonField *field, const void *object, Json *into)
{
	const WalEdge *edge = json_at(field, object);
	char text[2 * WAL_EDGE_MAX + 1];

	hex_encode(edge->bytes, edge->size, text);
	json_add_string(into, field->name, text);
}

static Error *
edge_get(const JsonField *field, const Json *node, void *object)
{
	WalEdge *edge = json_at(field, object);
	const char *text = json_string_value(node);
	size_t size = text == NULL ? 0 : strlen(text) / 2;

	if (text == NULL || size > WAL_EDGE_MAX || !hex_decode(text, edge->bytes, size))
		return json_wrong(field, node);
	edge->size = (uint32_t) size;
	return NULL;
}

const JsonKind json_edge = {"up to 1024 bytes in hexadecimal digits", edge_is_set, edge_put, edge_get};
