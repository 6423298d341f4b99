/* pin/<ID>.json: this backup, or this dump, stays, whatever the retention says (docs/format.md). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/store/store.h"

#define PIN_NOTE_MAX 4096

typedef struct Pin
{
	char *backup;
	TimeUs until; /* TIME_NONE: for ever */
	char *note;   /* NULL: none */
	bool damaged; /* of one that was read: it cannot be, or it is another one's; the note says why */
} Pin;

typedef struct PinList
{
	Pin *items; /* ascending by backup */
	size_t count;
	size_t capacity;
} PinList;

void pin_list_release(PinList *pins);
#define AUTO_PINS __attribute__((cleanup(pin_list_release))) PinList

/* ERR_EXISTS when it is pinned already, ERR_NOT_FOUND when there is neither such a backup nor such a dump. */
Error *pin_write(Store *store, uint64_t system_identifier, const Pin *pin) MUST_CHECK;

/* ERR_NOT_FOUND when it is not pinned. */
Error *pin_remove(Store *store, uint64_t system_identifier, const char *backup) MUST_CHECK;

/* One that cannot be read counts: for ever, and its note says why. */
Error *pin_list_read(Store *store, uint64_t system_identifier, PinList *ret_pins) MUST_CHECK;
