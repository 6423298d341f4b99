/* A message to a target, and what the target answers. */
#pragma once

#include "walship/base/patience.h"
#include "walship/http/http.h"
#include "walship/notify/message.h"
#include "walship/notify/request.h"
#include "walship/notify/target.h"

typedef struct NotifySender
{
	HttpClient *client;
	NotifyServices services;
	Patience patience; /* of one message to one target */
} NotifySender;

/*
 * Success is the target's own word for it.  *ret_answer, which may be NULL, is what it
 * said, cut and printable; neither it nor an error holds a secret.  The caller frees.
 */
Error *notify_send(const NotifySender *sender, const NotifyTarget *target, const NotifyMessage *message,
                   char **ret_answer) MUST_CHECK;

/* What came of a message for each of the targets; both NULL: it was not for this one. */
typedef struct NotifyAnswers
{
	char *texts[NOTIFY_TARGETS_MAX];
	Error *errors[NOTIFY_TARGETS_MAX];
} NotifyAnswers;

void notify_answers_release(NotifyAnswers *answers);

#define AUTO_NOTIFY_ANSWERS __attribute__((cleanup(notify_answers_release))) NotifyAnswers

/*
 * To all targets whose ids are in "ids" (NULL: to all), side by side.  One that has
 * an error already, as that its secret could not be read, is not asked.  "delivered"
 * (may be NULL) is called at once for each that has it, one at a time, in any thread.
 */
void notify_send_all(const NotifySender *sender, const NotifyTargets *targets, const StrList *ids,
                     const NotifyMessage *message, NotifyAnswers *answers,
                     void (*delivered)(const void *context, const NotifyTarget *target), const void *context);
