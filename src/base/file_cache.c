/*
 * In a file of its own: a test puts its own function in the place of this one,
 * to change the file between two readings.
 */
#include <fcntl.h>

#include "walship/base/file.h"

void
file_forget_cached(const char *path)
{
	AUTO_CLOSE int fd = -1;
	AUTO(Error) error = file_open_read(path, &fd, NULL);

	if (error == NULL)
		(void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
