/*
 * PostgreSQL starts archive_command with SIGINT ignored and exec keeps that, so
 * the dispositions are set back to default first; a blocked, ignored signal
 * would never be delivered to sigwait().
 */
#include "signals.h"

#include <signal.h>
#include <stdatomic.h>

#include "walship/base/cancel.h"
#include "walship/base/workers.h"

static atomic_int received; /* 0: none */

/* SIGHUP: the terminal has gone.  Not where somebody said that this does not matter (nohup). */
static void
set_of_signals(sigset_t *ret_signals)
{
	struct sigaction hangup;

	(void) sigemptyset(ret_signals);
	(void) sigaddset(ret_signals, SIGINT);
	(void) sigaddset(ret_signals, SIGTERM);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		(void) sigaddset(ret_signals, SIGHUP);
}

static void *
wait_for_signal(void *argument)
{
	sigset_t signals;
	int number = 0;

	set_of_signals(&signals);
	if (sigwait(&signals, &number) != 0)
		return argument;
	atomic_store(&received, number);
	cancel_request(number == SIGINT ? "SIGINT" : number == SIGHUP ? "SIGHUP" : "SIGTERM");

	/* Tidying up may take some seconds.  Who presses the keys again does not want to wait for it. */
	do
	{
		if (sigwait(&signals, &number) != 0)
			return argument;
	} while (number != SIGINT);
	signals_die();
	return argument;
}

Error *
signals_init(void)
{
	sigset_t signals;
	pthread_t thread;

	TRY(cancel_init());
	(void) signal(SIGINT, SIG_DFL);
	(void) signal(SIGTERM, SIG_DFL);
	(void) signal(SIGALRM, SIG_DFL);
	(void) signal(SIGPIPE, SIG_IGN);

	/* A limit of the size of files is an error of the write, EFBIG, which has a name in it. */
	(void) signal(SIGXFSZ, SIG_IGN);
	set_of_signals(&signals);
	(void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
	TRY(thread_start(wait_for_signal, NULL, &thread));
	(void) pthread_detach(thread);
	return NULL;
}

/* Whoever sent the signal sees that it worked: the exit status says "killed by". */
void
signals_die(void)
{
	int number = atomic_load(&received);
	sigset_t set;

	if (number == 0)
		return;
	(void) signal(number, SIG_DFL);
	(void) sigemptyset(&set);
	(void) sigaddset(&set, number);
	(void) raise(number);
	(void) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
