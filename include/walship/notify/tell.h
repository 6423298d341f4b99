/*
 * From an outcome to those who must hear of it: decided and noted first, so that nothing
 * is lost with this process; then sent.
 */
#pragma once

#include "walship/notify/item.h"
#include "walship/notify/send.h"

/*
 * A run of message->key, by which it is noted, ended with message->exit_status at
 * message->at.  Says whether that is to be told: then "event", "since" and "failures" are
 * filled in, and the message is noted for all targets.  *ret_due: it is, or an older
 * one waits of which nobody was asked lately; so the caller sees to it.  The error is
 * the note's: what there is to tell is told all the same.
 */
Error *notify_decide(const NotifyNotes *notes, const NotifyPolicy *policy, const NotifyTargets *targets,
                     NotifyMessage *message, bool *ret_told, bool *ret_due) MUST_CHECK;

/* To every target that does not have it, and notes who has.  *ret_left: so many still do not. */
void notify_deliver(const NotifyNotes *notes, const NotifySender *sender, const NotifyTargets *targets,
                    const NotifyMessage *message, NotifyAnswers *answers, size_t *ret_left);

/* Who has just noted a message sends it first himself, and has so long for that. */
#define NOTIFY_FIRST_MS 2000

/*
 * All that waits, of any item, each as long as the sender's patience: for a process that
 * nobody waits for.  What is noted meanwhile is sent as well, while "until_ms" (of
 * clock_monotonic_ms()) has not come.  "troubles" has the targets that cannot be asked.
 */
Error *notify_send_waiting(const NotifyNotes *notes, const NotifySender *sender, const NotifyTargets *targets,
                           const NotifyAnswers *troubles, int64_t until_ms) MUST_CHECK;
