/* The flag, and everyone who must hear of it; see walship/base/cancel.h. */
#include "walship/base/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "walship/base/clock.h"

static struct
{
	_Atomic(const char *) by; /* NULL: not requested */
	atomic_int fd_plus_one;   /* 0: there is none yet */
	pthread_mutex_t mutex;
	CancelWaiter *waiters;
} cancel = {.mutex = PTHREAD_MUTEX_INITIALIZER};

Error *
cancel_init(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return error_errno("could not create an eventfd");
	atomic_store(&cancel.fd_plus_one, fd + 1);
	return NULL;
}

void
cancel_request(const char *by)
{
	const char *nobody = NULL;
	uint64_t one = 1;

	(void) atomic_compare_exchange_strong(&cancel.by, &nobody, by);
	if (cancel_fd() >= 0)
	{
		ssize_t ignored = write(cancel_fd(), &one, sizeof(one));

		(void) ignored;
	}
	(void) pthread_mutex_lock(&cancel.mutex);
	for (const CancelWaiter *waiter = cancel.waiters; waiter != NULL; waiter = waiter->next)
	{
		/* The flag is read under the waiter's mutex: taking it closes the gap between look and wait. */
		(void) pthread_mutex_lock(waiter->mutex);
		(void) pthread_cond_broadcast(waiter->condition);
		(void) pthread_mutex_unlock(waiter->mutex);
	}
	(void) pthread_mutex_unlock(&cancel.mutex);
}

bool
cancel_requested(void)
{
	return atomic_load(&cancel.by) != NULL;
}

int
cancel_fd(void)
{
	return atomic_load(&cancel.fd_plus_one) - 1;
}

Error *
cancel_check(void)
{
	const char *by = atomic_load(&cancel.by);

	return by == NULL ? NULL : error_new(ERR_CANCELLED, "cancelled by %s", by);
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
cancel_wakes(CancelWaiter *waiter)
{
	(void) pthread_mutex_lock(&cancel.mutex);
	waiter->next = cancel.waiters;
	cancel.waiters = waiter;
	(void) pthread_mutex_unlock(&cancel.mutex);
}

void
cancel_forgets(const CancelWaiter *waiter)
{
	(void) pthread_mutex_lock(&cancel.mutex);
	for (CancelWaiter **link = &cancel.waiters; *link != NULL; link = &(*link)->next)
		if (*link == waiter)
		{
			*link = waiter->next;
			break;
		}
	(void) pthread_mutex_unlock(&cancel.mutex);
}
