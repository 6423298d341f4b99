/* The drop that a recovery stops just before: which is meant, and how it reads in a sentence. */
#pragma once

#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/plan/drops.h"

typedef enum DropChoice
{
	DROP_NOT_ASKED,
	DROP_ONLY, /* the only one there is */
	DROP_NUMBER,
	DROP_XID, /* or a rewrite */
} DropChoice;

typedef struct DropRequest
{
	DropChoice choice;
	uint64_t number; /* as "walship find" counts, within the same limits */
	TransactionId xid;
	TimeUs since; /* both inclusive; TIME_NONE: unlimited */
	TimeUs until;
} DropRequest;

/* "dropped relations 16385, 16388 in database 5 (files 16385, 16390)": as it stands in a sentence. */
void drop_describe(const DroppedObjects *dropped, Buf *into);
