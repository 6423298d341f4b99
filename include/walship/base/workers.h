/*
 * Threads.  All signals are blocked in them: those of the process are for the
 * thread that expects them, here or in a program that this code is a part of.
 *
 * A pool of threads.  Jobs run in the order of submission, as many at a time
 * as there are threads, which are started when they are first needed.  A job
 * returns its Error *; the first failed one (by order of submission) is what
 * workers_wait() gives back, and once a job has failed, jobs that have not
 * begun are skipped and their argument is freed.  As long as not one thread can
be made, jobs run in workers_submit(): slower, and just as well.  So no job of a
pool waits for what its submitter does later; a job that must is a thread's.
 *
 * No job submits to, or waits for, its own pool.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "walship/base/error.h"

typedef struct Workers Workers;
typedef Error *(*WorkersJob)(void *argument);

Workers *workers_new(int threads);        /* at most so many */
int workers_size(const Workers *workers); /* as given to workers_new() */

/* "free_argument" (may be NULL) is called once the job has run or was skipped. */
void workers_submit(Workers *workers, WorkersJob job, void *argument, void (*free_argument)(void *));

/* Until every submitted job has ended.  The pool can be used again afterwards. */
Error *workers_wait(Workers *workers) MUST_CHECK;

bool workers_failed(Workers *workers); /* long jobs look, and leave early */

/* Skips what has not begun and waits for what runs. */
void workers_free(Workers *workers);
AUTO_DEFINE(Workers, workers_free);

int workers_cpu_count(int most); /* processors that this process may use, at most so many */

/* ERR_SYSTEM when no thread can be made.  It is joined or detached by the caller. */
Error *thread_start(void *(*body)(void *), void *argument, pthread_t *ret_thread) MUST_CHECK;
