/* From the settings of notifications to the values that notify/ takes. */
#pragma once

#include "walship/config/settings.h"
#include "walship/notify/tell.h"

typedef struct NotifyContext
{
	NotifyTargets targets;
	NotifyNotes notes;
	NotifyPolicy policy; /* alarm_after_ms is 0 */
	char *scope;

	/* Of notify_context_prepare(): */
	NotifySender sender;    /* without patience */
	NotifyAnswers troubles; /* why a target cannot be asked */
	HttpClient *client;
	char *mail_from;
	char *smtp_password;
} NotifyContext;

/* Reads no file.  ERR_USAGE: what is wrong with the setting "notify".  The settings outlive it. */
Error *notify_context_init(const Settings *settings, NotifyContext *ret_context) MUST_CHECK;

/* What it takes to send: the secrets of the targets, and a client. */
void notify_context_prepare(const Settings *settings, NotifyContext *context);
void notify_context_release(NotifyContext *context);

#define AUTO_NOTIFY_CONTEXT __attribute__((cleanup(notify_context_release))) NotifyContext

/* In the place of the targets the heartbeat's alone. */
void notify_context_init_heartbeat(const Settings *settings, NotifyContext *ret_context);

/* This machine's name.  The caller frees. */
char *notify_host(void);
