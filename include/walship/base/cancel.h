/*
 * SIGTERM and SIGINT.  They are blocked in every thread; one thread waits for
 * them, sets the flag and wakes whoever waits.  Before cancel_init() nothing
 * can be cancelled and the signals kill, as always.
 *
 * Whoever blocks must be wakeable: poll() together with cancel_fd(), or
 * cancel_sleep_ms(), or a condition named to cancel_wakes().
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"

Error *cancel_init(void) MUST_CHECK; /* once, by main, before any other thread */

bool cancel_requested(void);
int cancel_signal(void); /* the signal that came, or 0 */
int cancel_fd(void);     /* becomes readable and stays so; -1 before cancel_init() */

/* ERR_CANCELLED when it was requested. */
Error *cancel_check(void) MUST_CHECK;

/* Sleeps; ends early, with ERR_CANCELLED, when cancelled. */
Error *cancel_sleep_ms(int64_t ms) MUST_CHECK;

/* Waits until fd is ready (POLLIN and so on) or the time is over (ERR_TRANSIENT); -1 waits without limit. */
Error *cancel_poll(int fd, short events, int64_t timeout_ms) MUST_CHECK;

/* Broadcast this condition when cancelled.  Pairs with cancel_forgets().  Not while holding the mutex. */
void cancel_wakes(pthread_mutex_t *mutex, pthread_cond_t *condition);
void cancel_forgets(pthread_cond_t *condition); /* not while holding its mutex */
