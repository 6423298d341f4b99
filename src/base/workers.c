/* A pool of threads with one queue, and how threads are made. */
#include "walship/base/workers.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "walship/base/cancel.h"
#include "walship/base/mem.h"

typedef struct Job
{
	struct Job *next;
	WorkersJob run;
	void *argument;
	void (*free_argument)(void *);
	uint64_t sequence;
} Job;

struct Workers
{
	pthread_mutex_t mutex;
	pthread_cond_t work;  /* there is a job, or the end */
	pthread_cond_t quiet; /* the last job has ended */
	pthread_t *threads;
	int n_threads;    /* that were started */
	int most_threads; /* that may be */
	int idle;         /* that wait for a job */
	Job *first;
	Job **last;
	int queued;
	uint64_t submitted;
	uint64_t unfinished; /* queued or running */
	Error *error;        /* of the failed job with the lowest sequence number */
	uint64_t error_sequence;
	bool ending;
};

static Job *
take_job(Workers *workers)
{
	Job *job = workers->first;

	workers->first = job->next;
	if (workers->first == NULL)
		workers->last = &workers->first;
	workers->queued--;
	return job;
}

/*
 * The lowest sequence number wins, so that what is reported does not depend on
 * timing; but one that was only cancelled because of another's failure never does.
 */
static void
keep_error(Workers *workers, Error *error, uint64_t sequence)
{
	bool cancelled = error_is(error, ERR_CANCELLED);
	bool wins = sequence < workers->error_sequence;

	if (workers->error == NULL)
		wins = true;
	else if (cancelled != error_is(workers->error, ERR_CANCELLED))
		wins = !cancelled;
	if (!wins)
	{
		error_free(error);
		return;
	}
	error_free(workers->error);
	workers->error = error;
	workers->error_sequence = sequence;
}

static void
run_job(Workers *workers, Job *job)
{
	bool skip = workers->error != NULL || workers->ending;
	Error *error = NULL;

	(void) pthread_mutex_unlock(&workers->mutex);
	if (!skip)
		error = job->run(job->argument);
	if (job->free_argument != NULL)
		job->free_argument(job->argument);
	uint64_t sequence = job->sequence;
	free(job);
	(void) pthread_mutex_lock(&workers->mutex);

	if (error != NULL)
		keep_error(workers, error, sequence);
	if (--workers->unfinished == 0)
		(void) pthread_cond_broadcast(&workers->quiet);
}

static void *
worker_main(void *argument)
{
	Workers *workers = argument;

	(void) pthread_mutex_lock(&workers->mutex);
	for (;;)
	{
		workers->idle++;
		while (workers->first == NULL && !workers->ending)
			(void) pthread_cond_wait(&workers->work, &workers->mutex);
		workers->idle--;
		if (workers->first == NULL)
			break;
		run_job(workers, take_job(workers));
	}
	(void) pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

Workers *
workers_new(int threads)
{
	Workers *workers = NEW(Workers);

	(void) pthread_mutex_init(&workers->mutex, NULL);
	(void) pthread_cond_init(&workers->work, NULL);
	(void) pthread_cond_init(&workers->quiet, NULL);
	workers->last = &workers->first;
	workers->threads = NEW_ARRAY(pthread_t, (size_t) threads);
	workers->most_threads = threads;
	return workers;
}

int
workers_size(const Workers *workers)
{
	return workers->most_threads;
}

/*
 * The default is 8 MiB of address space for each, so that 64 threads which only wait would want half a GiB: too much for
 * ulimit -v, and where the kernel does not overcommit (vm.overcommit_memory = 2, as PostgreSQL's manual advises, 19.4.5)
 * as much less for the server.  Large buffers are on the heap; 30 KB is the largest frame, in the libraries it is less.
 */
#define THREAD_STACK_SIZE ((size_t) 1024 * 1024)

Error *
thread_start(void *(*body)(void *), void *argument, pthread_t *ret_thread)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;

	(void) pthread_attr_init(&attributes);
	(void) pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);

	/* A thread inherits the mask of the one that makes it. */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	int number = pthread_create(ret_thread, &attributes, body, argument);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void) pthread_attr_destroy(&attributes);

	errno = number;
	return number == 0 ? NULL : error_errno("could not start a thread");
}

/* With the mutex held.  Fewer threads than asked for are only slower. */
static void
start_thread_if_needed(Workers *workers)
{
	AUTO(Error) error = NULL;

	if (workers->queued <= workers->idle || workers->n_threads == workers->most_threads)
		return;
	error = thread_start(worker_main, workers, &workers->threads[workers->n_threads]);
	if (error == NULL)
		workers->n_threads++;
}

void
workers_submit(Workers *workers, WorkersJob run, void *argument, void (*free_argument)(void *))
{
	Job *job = NEW(Job);

	job->run = run;
	job->argument = argument;
	job->free_argument = free_argument;
	(void) pthread_mutex_lock(&workers->mutex);
	job->sequence = workers->submitted++;
	workers->unfinished++;
	*workers->last = job;
	workers->last = &job->next;
	workers->queued++;
	start_thread_if_needed(workers);
	if (workers->n_threads == 0)
		run_job(workers, take_job(workers));
	else
		(void) pthread_cond_signal(&workers->work);
	(void) pthread_mutex_unlock(&workers->mutex);
}

Error *
workers_wait(Workers *workers)
{
	(void) pthread_mutex_lock(&workers->mutex);
	while (workers->unfinished > 0)
		(void) pthread_cond_wait(&workers->quiet, &workers->mutex);

	Error *error = MOVE(workers->error);

	(void) pthread_mutex_unlock(&workers->mutex);
	return error;
}

bool
workers_failed(Workers *workers)
{
	(void) pthread_mutex_lock(&workers->mutex);
	bool failed = workers->error != NULL || workers->ending;
	(void) pthread_mutex_unlock(&workers->mutex);
	return failed || cancel_requested();
}

void
workers_free(Workers *workers)
{
	if (workers == NULL)
		return;
	(void) pthread_mutex_lock(&workers->mutex);
	workers->ending = true;
	(void) pthread_cond_broadcast(&workers->work);
	(void) pthread_mutex_unlock(&workers->mutex);
	for (int i = 0; i < workers->n_threads; i++)
		(void) pthread_join(workers->threads[i], NULL);
	error_free(workers->error);
	(void) pthread_cond_destroy(&workers->work);
	(void) pthread_cond_destroy(&workers->quiet);
	(void) pthread_mutex_destroy(&workers->mutex);
	free(workers->threads);
	free(workers);
}

int
workers_cpu_count(int most)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return count < 1 ? 1 : count < most ? count : most;
}
