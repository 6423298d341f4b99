/*
 * What was told of an item ("backup", "push") and what came of it since: so a failure
 * is told once and not each time, its end is told, too, and what a target did not
 * get can be sent again.  The decisions are pure; the values are kept as notes in
 * state_dir, and may be lost: then a failure is told once more.
 */
#pragma once

#include <stdbool.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/notify/message.h"
#include "walship/notify/target.h"

typedef struct NotifyItem
{
	bool failing;        /* what came last was a failure */
	TimeUs since;        /* of the first of them */
	uint64_t failures;   /* so many, without a success in between */
	int64_t exit_status; /* of the failure that was told last */
	bool alarmed;        /* the last that was told was a failure */
	TimeUs told_at;      /* TIME_NONE: never */

	/* The newest message, the ids of the targets that do not have it, and when a process last set out to change that. */
	TimeUs tried_at; /* TIME_NONE: none did */
	StrList waiting;
	NotifyMessage message; /* there when somebody waits for it */
} NotifyItem;

#define NOTIFY_ITEM_NEW                                                               \
	{                                                                                 \
		.since = TIME_NONE, .told_at = TIME_NONE, .tried_at = TIME_NONE, .message = { \
			.since = TIME_NONE,                                                       \
			.at = TIME_NONE                                                           \
		}                                                                             \
	}

void notify_item_release(NotifyItem *item);

#define AUTO_NOTIFY_ITEM __attribute__((cleanup(notify_item_release))) NotifyItem

/* No two failures of an item are told within this time, whatever happens in between. */
#define NOTIFY_QUIET_MS (10 * 60 * INT64_C(1000))

typedef struct NotifyPolicy
{
	int64_t alarm_after_ms; /* a failure is told when it has lasted so long; 0: at once */
	int64_t repeat_ms;      /* and again while it lasts */
	bool successes;         /* each success is told, too */
} NotifyPolicy;

/*
 * What a run means that ended now with this status (0: success): is it told, and as
 * what?  Brings the item up to date, but for what waits.
 */
bool notify_item_decide(NotifyItem *item, const NotifyPolicy *policy, int64_t exit_status, TimeUs now,
                        NotifyEvent *ret_event);

/* Nothing that a later run would have to know. */
bool notify_item_is_idle(const NotifyItem *item, TimeUs now);

/*
 * Where the items of one configuration are kept: "scope" tells it from others of the
 * same state_dir, by whatever lines of text.
 */
typedef struct NotifyNotes
{
	const char *state_dir;
	const char *scope;
} NotifyNotes;

/* As it was noted, or a new one.  "item" is a word such as "backup". */
void notify_item_read(const NotifyNotes *notes, const char *item, NotifyItem *ret_item);

/* An idle one needs no note: it is removed. */
Error *notify_item_write(const NotifyNotes *notes, const char *item, const NotifyItem *noted) MUST_CHECK;

/*
 * This target has the message of that time, if it still is the newest: by then
 * another process may have noted more.  Trouble with the note costs a second
 * delivery, and nothing else.
 */
void notify_item_delivered(const NotifyNotes *notes, const char *item, TimeUs message_at,
                           const char *target_id);

/* Does somebody wait, and has nobody been asked lately?  A target that is gone for good is asked no more often than that. */
#define NOTIFY_RETRY_MS (10 * 60 * INT64_C(1000))

bool notify_item_is_due(const NotifyItem *item, TimeUs now);

/* Is any?  Then the caller sees to it, and it is noted that somebody has. */
bool notify_items_claim_due(const NotifyNotes *notes, TimeUs now);

/* Those for which somebody waits. */
void notify_items_waiting(const NotifyNotes *notes, StrList *ret_items);

/* One process at a time sends what waits: locked as long as it is open; ERR_TRANSIENT when there is one. */
Error *notify_lock(const NotifyNotes *notes, int *ret_fd) MUST_CHECK;
