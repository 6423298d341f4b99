/*
 * Who is told: the targets of the setting "notify", separated by commas or blanks.
 *
 *	telegram:CHAT                  a chat's number, or @channel; the bot's token is a setting
 *	slack:FILE discord:FILE mattermost:FILE   a webhook, whose URL is a secret: FILE holds it
 *	ntfy:URL webhook:URL           or a FILE that holds it
 *	pagerduty:FILE                 which holds the integration key
 *	mailto:ADDRESS
 *	exec:PROGRAM                   an absolute path
 *
 * A FILE is an absolute path; its only line is what counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/error.h"

typedef enum NotifyKind
{
	NOTIFY_TELEGRAM,
	NOTIFY_SLACK,
	NOTIFY_DISCORD,
	NOTIFY_MATTERMOST,
	NOTIFY_NTFY,
	NOTIFY_WEBHOOK,
	NOTIFY_PAGERDUTY,
	NOTIFY_MAILTO,
	NOTIFY_EXEC,
	NOTIFY_HEARTBEAT, /* not of the setting "notify": a service that alarms when it does not hear anything */
} NotifyKind;

#define NOTIFY_KINDS 9 /* of the setting */

#define NOTIFY_TARGETS_MAX 16 /* with a heartbeat */

typedef struct NotifyTarget
{
	NotifyKind kind;
	char *name;    /* as it is written, "slack:/etc/walship/slack.url"; never a secret */
	char *address; /* what follows the colon */
	bool in_file;  /* "address" is the file whose only line is wanted */
	char *secret; /* what the file holds, or else the address; of telegram the token.  NULL until it is set */
} NotifyTarget;

typedef struct NotifyTargets
{
	NotifyTarget items[NOTIFY_TARGETS_MAX];
	size_t count;
} NotifyTargets;

/* ERR_USAGE names what is wrong, but repeats nothing that may be a secret. */
Error *notify_targets_parse(const char *text, NotifyTargets *ret_targets) MUST_CHECK;

/* NAME@HOST, fit for a mail's head. */
bool notify_is_mail_address(const char *text);

/* The heartbeat, by its setting: a URL, or the absolute path of a file that holds it.  Its name does not tell it. */
NotifyTarget notify_target_heartbeat(const char *text);

/* Is this fit to be asked?  What came out of a file is a URL where one is wanted. */
Error *notify_target_check(const NotifyTarget *target) MUST_CHECK;

void notify_targets_release(NotifyTargets *targets);

#define AUTO_NOTIFY_TARGETS __attribute__((cleanup(notify_targets_release))) NotifyTargets

/* What keeps it apart from the others in a note: 8 hexadecimal digits. */
#define NOTIFY_TARGET_ID_SIZE 9

const char *notify_target_id(const NotifyTarget *target, char text[NOTIFY_TARGET_ID_SIZE]);
