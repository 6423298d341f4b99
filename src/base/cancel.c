/*
 * SIGTERM and SIGINT, turned into a flag by one thread that waits for them.
 * PostgreSQL starts archive_command with SIGINT ignored and exec keeps that, so
 * the dispositions are set back to default first; a blocked, ignored signal
 * would never be delivered to sigwait().
 */
#include "walship/base/cancel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "walship/base/clock.h"

#define WAITERS_MAX 16

typedef struct Waiter
{
	pthread_mutex_t *mutex;
	pthread_cond_t *condition;
} Waiter;

static struct
{
	atomic_int signal;
	atomic_int fd_plus_one; /* 0: not started */
	pthread_mutex_t mutex;
	Waiter waiters[WAITERS_MAX];
	int n_waiters;
} cancel = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void
wake_everyone(void)
{
	uint64_t one = 1;
	ssize_t ignored = write(cancel_fd(), &one, sizeof(one));

	(void) ignored;
	(void) pthread_mutex_lock(&cancel.mutex);
	for (int i = 0; i < cancel.n_waiters; i++)
	{
		const Waiter *waiter = &cancel.waiters[i];

		/* The flag is read under the waiter's mutex: taking it closes the gap between look and wait. */
		(void) pthread_mutex_lock(waiter->mutex);
		(void) pthread_cond_broadcast(waiter->condition);
		(void) pthread_mutex_unlock(waiter->mutex);
	}
	(void) pthread_mutex_unlock(&cancel.mutex);
}

static void *
wait_for_signal(void *argument)
{
	const sigset_t *signals = argument;
	int signal_number = 0;

	if (sigwait(signals, &signal_number) != 0)
		return NULL;
	atomic_store(&cancel.signal, signal_number);
	wake_everyone();
	return NULL;
}

static Error *
start_thread(const sigset_t *signals)
{
	pthread_t thread;
	pthread_attr_t attributes;

	(void) pthread_attr_init(&attributes);
	(void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void) pthread_attr_setstacksize(&attributes, 256 * 1024);
	errno = pthread_create(&thread, &attributes, wait_for_signal, (void *) (uintptr_t) signals);
	(void) pthread_attr_destroy(&attributes);
	return errno == 0 ? NULL : error_errno("could not start the signal thread");
}

Error *
cancel_init(void)
{
	static sigset_t signals;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return error_errno("could not create an eventfd");
	atomic_store(&cancel.fd_plus_one, fd + 1);

	(void) signal(SIGINT, SIG_DFL);
	(void) signal(SIGTERM, SIG_DFL);
	(void) signal(SIGALRM, SIG_DFL);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) sigemptyset(&signals);
	(void) sigaddset(&signals, SIGINT);
	(void) sigaddset(&signals, SIGTERM);
	(void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
	return start_thread(&signals);
}

int
cancel_signal(void)
{
	return atomic_load(&cancel.signal);
}

bool
cancel_requested(void)
{
	return cancel_signal() != 0;
}

int
cancel_fd(void)
{
	return atomic_load(&cancel.fd_plus_one) - 1;
}

Error *
cancel_check(void)
{
	int signal_number = cancel_signal();

	if (signal_number == 0)
		return NULL;
	return error_new(ERR_CANCELLED, "cancelled by %s", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
}

Error *
cancel_poll(int fd, short events, int64_t timeout_ms)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = cancel_fd(), .events = POLLIN}};
	int64_t now = clock_monotonic_ms();
	int64_t deadline = timeout_ms < 0 ? -1 : timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;

	for (;;)
	{
		int64_t left = deadline < 0 ? -1 : deadline - clock_monotonic_ms();
		int wait_ms = left < 0 ? (deadline < 0 ? -1 : 0) : (int) (left > 3600000 ? 3600000 : left);
		int ready = poll(fds, 2, wait_ms);

		if (ready < 0 && errno != EINTR)
			return error_errno("could not wait for a file descriptor");
		TRY(cancel_check());
		if (ready > 0 && fds[0].revents != 0)
			return NULL;
		if (deadline >= 0 && clock_monotonic_ms() >= deadline)
			return error_new(ERR_TRANSIENT, "timed out");
	}
}

Error *
cancel_sleep_ms(int64_t ms)
{
	Error *error = cancel_poll(-1, 0, ms);

	if (!error_is(error, ERR_TRANSIENT))
		return error;
	error_free(error);
	return NULL;
}

void
cancel_wakes(pthread_mutex_t *mutex, pthread_cond_t *condition)
{
	(void) pthread_mutex_lock(&cancel.mutex);
	if (cancel.n_waiters == WAITERS_MAX)
		abort();
	cancel.waiters[cancel.n_waiters++] = (Waiter){mutex, condition};
	(void) pthread_mutex_unlock(&cancel.mutex);
}

void
cancel_forgets(pthread_cond_t *condition)
{
	(void) pthread_mutex_lock(&cancel.mutex);
	for (int i = 0; i < cancel.n_waiters; i++)
		if (cancel.waiters[i].condition == condition)
			cancel.waiters[i--] = cancel.waiters[--cancel.n_waiters];
	(void) pthread_mutex_unlock(&cancel.mutex);
}
