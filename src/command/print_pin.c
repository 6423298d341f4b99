/* See print_pin.h. */
#include "print_pin.h"

#include <string.h>

#include "table.h"
#include "walship/base/json_fields.h"

static const JsonField pin_fields[] = {
	{"until", &json_time, JSON_AT(Pin, until)},
	{"note", &json_string, JSON_AT(Pin, note)},
};
static const JsonTable pin_table = JSON_TABLE(Pin, pin_fields);

static const Pin *
find_pin(const PinList *pins, const char *id)
{
	for (size_t i = 0; i < pins->count; i++)
		if (strcmp(pins->items[i].backup, id) == 0)
			return &pins->items[i];
	return NULL;
}

void
print_pin(const PinList *pins, const char *id, FILE *into)
{
	const Pin *pin = find_pin(pins, id);
	char until[TIME_TEXT_SIZE];

	if (pin != NULL)
		print_line(into, "    pinned%s%s%s%s%s", pin->until == TIME_NONE ? "" : " until ",
		           pin->until == TIME_NONE ? "" : time_format_utc(pin->until, until),
		           pin->note == NULL ? "" : " (", pin->note == NULL ? "" : pin->note,
		           pin->note == NULL ? "" : ")");
}

void
put_pin(const PinList *pins, const char *id, Json *into)
{
	const Pin *pin = find_pin(pins, id);

	if (pin != NULL)
		json_put(json_add_object(into, "pinned"), &pin_table, pin);
}
