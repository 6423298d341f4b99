/*
 * What somebody must hear of: one value, from which every target's text is made, so
 * that all of them say the same: what, where, since when, why, and the command
 * that helps.
 */
#pragma once

#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/json_fields.h"

typedef enum NotifyEvent
{
	NOTIFY_FAILED,    /* it did not work, or still does not */
	NOTIFY_RECOVERED, /* it works again, after a failure that was told */
	NOTIFY_SUCCEEDED,
	NOTIFY_TEST,    /* by "walship notify test" */
	NOTIFY_STARTED, /* to a heartbeat alone */
} NotifyEvent;

#define NOTIFY_EVENTS 5

typedef struct NotifyMessage
{
	NotifyEvent event;
	char *item;    /* what was done, which is the command: "backup" */
	char *key;     /* what keeps it apart from others of that command, as of what is looked at; or the same */
	char *host;    /* on which machine */
	char *cluster; /* for which server: the section of the settings, or the data directory; NULL: not known */
	char *store;   /* NULL: none is set */
	TimeUs at;
	TimeUs since;      /* of the first failure of this run of failures; TIME_NONE: nothing had failed */
	uint64_t failures; /* so many in that run */
	int64_t exit_status;
	char *reason; /* what the command said; NULL: nothing */
	char *hint;   /* the remedy; NULL */
	char *help;   /* the command line that tells more */
} NotifyMessage;

/* Long ones are cut: several services take no more than 2000 characters in all. */
#define NOTIFY_REASON_MAX 1000
#define NOTIFY_HINT_MAX   400
#define NOTIFY_NAME_MAX   200
#define NOTIFY_HELP_MAX   400

extern const JsonTable notify_message_table;

void notify_message_release(NotifyMessage *message);

#define AUTO_NOTIFY_MESSAGE __attribute__((cleanup(notify_message_release))) NotifyMessage

/* Of this text, printable and at most so many bytes: a copy; NULL gives NULL. */
char *notify_text(const char *text, size_t most);

/* Ends the text there if it is longer: with "...", and not within a character. */
void notify_cut(char *text, size_t most);

/* "walship: backup failed on db1 (billing)": one line.  The caller frees. */
char *notify_title(const NotifyMessage *message);

/* The lines below the title, each with its end.  The caller frees. */
char *notify_body(const NotifyMessage *message);
