/*
 * Giving up everything that is under way.  Whoever runs this code asks for it once,
 * and it is not taken back: command/ at SIGTERM and SIGINT, a process that has
 * nothing left to do at its end.  Nothing here knows of signals.
 *
 * Whoever blocks must be wakeable: poll() together with cancel_fd(), or
 * cancel_sleep_ms(), or a condition named to cancel_wakes().
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"

/* Makes the descriptor, without which only conditions are woken.  Once, before there is a second thread. */
Error *cancel_init(void) MUST_CHECK;

/*
 * From any thread that holds none of the mutexes named to cancel_wakes(); not in a signal handler.
 * "by" is for the message, of the first one that asked, and lives for ever.
 */
void cancel_request(const char *by);

bool cancel_requested(void);
int cancel_fd(void); /* becomes readable and stays so; -1 before cancel_init() */

/* ERR_CANCELLED when it was requested. */
Error *cancel_check(void) MUST_CHECK;

/* Sleeps; ends early, with ERR_CANCELLED, when cancelled. */
Error *cancel_sleep_ms(int64_t ms) MUST_CHECK;

/* Waits until fd is ready (POLLIN and so on) or the time is over (ERR_TRANSIENT); -1 waits without limit. */
Error *cancel_poll(int fd, short events, int64_t timeout_ms) MUST_CHECK;

/* A condition that is broadcast when cancelled, and its mutex.  The caller's, until it is forgotten. */
typedef struct CancelWaiter
{
	pthread_mutex_t *mutex;
	pthread_cond_t *condition;
	struct CancelWaiter *next;
} CancelWaiter;

/* Neither while holding the mutex. */
void cancel_wakes(CancelWaiter *waiter);
void cancel_forgets(const CancelWaiter *waiter); /* also one that was never named */
