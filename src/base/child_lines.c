/* A child's output, line by line while it runs: see walship/base/child.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "walship/base/cancel.h"
#include "walship/base/child.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define LINE_MAX_SIZE (64 * 1024)
#define STREAMS       2     /* standard output and standard error */
#define PATIENCE_MS   30000 /* of a child that is asked to end: it tidies up */

typedef struct LineReader
{
	int fds[STREAMS]; /* -1: at its end */
	Buf open[STREAMS];
	ChildLine callback;
	void *context;
} LineReader;

static void
line_reader_release(LineReader *reader)
{
	for (int i = 0; i < STREAMS; i++)
	{
		if (reader->fds[i] >= 0)
			(void) close(reader->fds[i]);
		buf_release(&reader->open[i]);
	}
}

static void
tell_line(LineReader *reader, int stream)
{
	if (reader->open[stream].size > 0)
		reader->callback(reader->context, stream == 1, reader->open[stream].data);
	buf_clear(&reader->open[stream]);
}

/* What is a line, is told; an empty one, too. */
static void
take_bytes(LineReader *reader, int stream, const char *bytes, size_t size)
{
	Buf *open = &reader->open[stream];

	for (size_t i = 0; i < size; i++)
	{
		if (bytes[i] == '\n' && open->size == 0)
			reader->callback(reader->context, stream == 1, "");
		if (bytes[i] == '\n' || open->size + 1 >= open->cap)
			tell_line(reader, stream);
		if (bytes[i] != '\n' && bytes[i] != '\0')
			buf_putc(open, bytes[i]);
	}
}

static Error *
read_stream(LineReader *reader, int stream)
{
	char bytes[8192];
	ssize_t got = read(reader->fds[stream], bytes, sizeof(bytes));

	if (got < 0 && errno != EINTR)
		return error_errno("could not read a program's output");
	if (got > 0)
		take_bytes(reader, stream, bytes, (size_t) got);
	if (got == 0)
	{
		tell_line(reader, stream);
		(void) close(reader->fds[stream]);
		reader->fds[stream] = -1;
	}
	return NULL;
}

/* Until both have ended, which is when the child and its own children have.  deadline_ms 0: none. */
static Error *
read_streams(LineReader *reader, bool heed_cancel, int64_t deadline_ms)
{
	while (reader->fds[0] >= 0 || reader->fds[1] >= 0)
	{
		struct pollfd fds[STREAMS + 1] = {{.fd = reader->fds[0], .events = POLLIN},
		                                  {.fd = reader->fds[1], .events = POLLIN},
		                                  {.fd = heed_cancel ? cancel_fd() : -1, .events = POLLIN}};
		int64_t left = deadline_ms == 0 ? -1 : deadline_ms - clock_monotonic_ms();

		if (deadline_ms != 0 && left <= 0)
			return error_new(ERR_TRANSIENT, "it did not end when it was asked to");
		if (poll(fds, STREAMS + 1, (int) left) < 0 && errno != EINTR)
			return error_errno("could not wait for a program's output");
		if (heed_cancel)
			TRY(cancel_check());
		for (int i = 0; i < STREAMS; i++)
			if (reader->fds[i] >= 0 && fds[i].revents != 0)
				TRY(read_stream(reader, i));
	}
	return NULL;
}

static void
reap(pid_t pid, int signal_number)
{
	(void) kill(pid, signal_number);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* What it still says is told, too. */
static Error *
end_child(LineReader *reader, pid_t pid, Error *error)
{
	(void) kill(pid, SIGTERM);

	AUTO(Error) mute = read_streams(reader, false, clock_monotonic_ms() + PATIENCE_MS);

	reap(pid, mute == NULL ? SIGTERM : SIGKILL);
	return error;
}

static Error *
start_with_pipes(const ChildOptions *options, LineReader *reader, pid_t *ret_pid)
{
	ChildOptions with_pipes = *options;
	int writers[STREAMS] = {-1, -1};
	Error *error = NULL;

	for (int i = 0; i < STREAMS && error == NULL; i++)
	{
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) != 0)
			error = error_errno("could not create a pipe");
		else
		{
			reader->fds[i] = ends[0];
			writers[i] = ends[1];
		}
	}
	with_pipes.output = writers[0];
	with_pipes.errors = writers[1];
	if (error == NULL)
		error = child_start(&with_pipes, ret_pid);
	for (int i = 0; i < STREAMS; i++)
		if (writers[i] >= 0)
			(void) close(writers[i]);
	return error;
}

Error *
child_run_lines(const ChildOptions *options, ChildLine callback, void *context, int *ret_status)
{
	LineReader reader __attribute__((cleanup(line_reader_release))) = {
		.fds = {-1, -1}, .callback = callback, .context = context};
	pid_t pid = 0;
	Error *error;

	for (int i = 0; i < STREAMS; i++)
		buf_init(&reader.open[i], LINE_MAX_SIZE);
	TRY(cancel_check());
	TRY(start_with_pipes(options, &reader, &pid));
	error = read_streams(&reader, true, 0);
	if (error == NULL)
		error = child_wait(pid, -1, ret_status);
	return error == NULL ? NULL : end_child(&reader, pid, error);
}
