/* How fetch and the prefetcher find each other: the lock and the FIFO; see walship/archive/prefetch.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "prefetch_window.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

static const char how_letters[] = {[PREFETCH_READY] = 'R', [PREFETCH_WAITED] = 'W', [PREFETCH_MISSED] = 'M'};

char *
prefetch_message_format(const PrefetchMessage *message)
{
	char got[WAL_NAME_SIZE];
	char end[WAL_NAME_SIZE];

	return mem_printf("%c %s %s\n", how_letters[message->how], wal_name_format(&message->got, got),
	                  message->bounded ? wal_name_format(&message->end, end) : "-");
}

static bool
parse_segment(const char *text, size_t length, WalName *ret_name)
{
	AUTO_FREE char *copy = mem_strndup(text, length);
	AUTO(Error) error = wal_name_parse(copy, ret_name);

	return error == NULL && ret_name->kind == WAL_SEGMENT;
}

bool
prefetch_message_parse(const char *line, PrefetchMessage *ret_message)
{
	PrefetchMessage message = {0};
	const char *letter = memchr(how_letters, line[0], sizeof(how_letters));
	const char *name;
	const char *blank;

	if (letter == NULL || line[0] == '\0' || line[1] != ' ')
		return false;
	message.how = (PrefetchTaken) (letter - how_letters);
	name = line + 2;
	blank = strchr(name, ' ');
	if (blank == NULL || !parse_segment(name, (size_t) (blank - name), &message.got))
		return false;
	message.bounded = strcmp(blank + 1, "-") != 0;
	if (message.bounded && !parse_segment(blank + 1, strlen(blank + 1), &message.end))
		return false;
	*ret_message = message;
	return true;
}

/* A message is shorter than PIPE_BUF, so it arrives whole; a full FIFO has had enough of them. */
bool
prefetch_tell(const PrefetchWindow *window, const PrefetchMessage *message)
{
	AUTO_FREE char *path = path_join(window->directory, PREFETCH_REQUESTS);
	AUTO_FREE char *text = prefetch_message_format(message);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	ssize_t put;

	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode))
		return false;
	put = write(fd, text, strlen(text));
	return put > 0 || errno == EAGAIN;
}

Error *
prefetch_office_take(const PrefetchWindow *window, PrefetchOffice *ret_office)
{
	AUTO_FREE char *lock_path = path_join(window->directory, PREFETCH_LOCK);
	AUTO_FREE char *requests_path = path_join(window->directory, PREFETCH_REQUESTS);
	AUTO_CLOSE int lock = -1;
	AUTO_CLOSE int requests = -1;

	TRY(file_open_temporary(lock_path, 0600, &lock));
	TRY(file_remove(requests_path));
	if (mkfifo(requests_path, 0600) != 0)
		return error_errno("could not create FIFO \"%s\"", requests_path);
	requests = open(requests_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (requests < 0)
		return error_errno("could not open FIFO \"%s\"", requests_path);
	*ret_office = (PrefetchOffice){lock, requests};
	lock = -1;
	requests = -1;
	return NULL;
}
