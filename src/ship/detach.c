/*
 * Starting a process that nobody waits for.  It is forked twice, so that it is
 * nobody's child here, and waits with its exec until it is known who has adopted it.
 * Threads run in this process, so up to exec only what signal-safety(7) allows is called.
 */
#include "walship/ship/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "walship/pg/pgdata.h"

/* Above everything that dup2() makes below. */
#define FD_ASIDE 64

#define FDS_CLOSED_MOST 65536

typedef struct Pipes
{
	int go[2];     /* a byte: exec; its end: do not */
	int report[2]; /* the new process's id */
} Pipes;

/* Where the kernel or the sandbox has no close_range(2), one by one. */
static void
close_from(int first)
{
	struct rlimit limit;
	int most = FDS_CLOSED_MOST;

	if (close_range((unsigned) first, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FDS_CLOSED_MOST)
		most = (int) limit.rlim_cur;
	for (int fd = first; fd < most; fd++)
		(void) close(fd);
}

static void
become_program(char *const argv[], int fd, const Pipes *pipes)
{
	char go;
	int null;

	(void) close(pipes->go[1]);
	if (read(pipes->go[0], &go, 1) != 1)
		_exit(0);

	fd = fcntl(fd, F_DUPFD, FD_ASIDE);
	null = open("/dev/null", O_RDWR);
	for (int standard = 0; standard < DETACHED_FD; standard++)
		(void) dup2(null, standard);
	(void) dup2(fd, DETACHED_FD);
	close_from(DETACHED_FD + 1);
	(void) execv("/proc/self/exe", argv);
	_exit(1);
}

static void
fork_again(char *const argv[], int fd, const Pipes *pipes)
{
	pid_t pid;

	(void) setsid();
	pid = fork();
	if (pid == 0)
		become_program(argv, fd, pipes);
	_exit(pid > 0 && write(pipes->report[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

static Error *
start_by(Pipes *pipes, char *const argv[], int fd, pid_t never_under, bool *ret_started)
{
	pid_t between = fork();
	pid_t pid = 0;
	pid_t parent;
	ssize_t got;

	if (between < 0)
		return error_errno("could not fork");
	if (between == 0)
		fork_again(argv, fd, pipes);
	(void) close(pipes->report[1]);
	pipes->report[1] = -1;
	do
		got = read(pipes->report[0], &pid, sizeof(pid));
	while (got < 0 && errno == EINTR);
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (got != sizeof(pid))
		return error_new(ERR_SYSTEM, "could not start a process");

	/* It has been adopted by now. */
	parent = process_parent(pid);
	*ret_started = parent > 0 && parent != never_under && write(pipes->go[1], "g", 1) == 1;
	return NULL;
}

static void
close_pipe(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void) close(fds[i]);
}

Error *
detach_start(char *const argv[], int fd, pid_t never_under, bool *ret_started)
{
	Pipes pipes = {{-1, -1}, {-1, -1}};
	Error *error;

	*ret_started = false;
	if (pipe2(pipes.go, O_CLOEXEC) != 0 || pipe2(pipes.report, O_CLOEXEC) != 0)
		error = error_errno("could not create a pipe");
	else
		error = start_by(&pipes, argv, fd, never_under, ret_started);
	close_pipe(pipes.go);
	close_pipe(pipes.report);
	return error;
}
