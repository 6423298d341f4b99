/* See files_read.h. */
#include "files_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"

#define READS_MOST     3            /* of a small file that changes meanwhile */
#define ATTRIBUTES_MAX (64u * 1024) /* the kernel's own limit for the list of names, and for a value */
#define INODE_MASK     ((UINT64_C(1) << 52) - 1) /* JSON's numbers are exact below 2^53 */

/*
 * A file that changes twice within one tick of its file system's clock has the same
 * times twice.  So what changed so shortly before it was read is read again next time.
 * FAT has 2 s, ext3 1 s, others some milliseconds.
 */
#define SETTLED_AFTER_S 2

FilesRead *
files_read_new(WalkDirectory *directory, const char *path, const char *leaf)
{
	FilesRead *read = NEW(FilesRead);

	read->directory = walk_directory_share(directory);
	read->leaf = mem_strdup(leaf);
	read->entry.path = mem_strdup(path);
	read->fd = -1;
	buf_init(&read->contents, FILES_SMALL_MAX);
	return read;
}

void
files_read_free(FilesRead *read)
{
	if (read == NULL)
		return;
	walk_directory_release(read->directory);
	if (read->fd >= 0)
		(void) close(read->fd);
	for (size_t i = 0; i < read->n_attributes; i++)
	{
		free(read->attributes[i].name);
		free(read->attributes[i].value);
	}
	free(read->attributes);
	free(read->leaf);
	free(read->link_target);
	buf_release(&read->contents);
	tar_extents_release(&read->extents);
	files_entry_release(&read->before);
	files_entry_release(&read->entry);
	free(read);
}

static void
set_missing(FilesRead *read, const char *what)
{
	read->outcome = FILES_MISSING;
	free(read->entry.problem);
	read->entry.problem = errno == ENOENT || errno == ENOTDIR
	                          ? mem_strdup("it vanished")
	                          : mem_printf("%s: %s", what, strerrordesc_np(errno));
}

static void
set_entry(FilesRead *read, const struct stat *status)
{
	FilesEntry *entry = &read->entry;
	mode_t mode = status->st_mode;

	entry->type = S_ISDIR(mode)    ? TAR_DIRECTORY
	              : S_ISLNK(mode)  ? TAR_SYMLINK
	              : S_ISFIFO(mode) ? TAR_FIFO
	              : S_ISCHR(mode)  ? TAR_CHARACTER_DEVICE
	              : S_ISBLK(mode)  ? TAR_BLOCK_DEVICE
	                               : TAR_FILE;
	entry->size = S_ISREG(mode) ? (uint64_t) status->st_size : 0;
	entry->mode = mode & 07777;
	entry->uid = status->st_uid;
	entry->gid = status->st_gid;
	entry->mtime = status->st_mtim.tv_sec;
	entry->mtime_ns = (uint32_t) status->st_mtim.tv_nsec;
	entry->ctime = status->st_ctim.tv_sec;
	entry->ctime_ns = (uint32_t) status->st_ctim.tv_nsec;
	entry->inode = ((uint64_t) status->st_ino & INODE_MASK) + 1;
	read->device = status->st_dev;
	read->device_number = status->st_rdev;
	read->links = status->st_nlink;
	read->status = *status;
}

static bool
is_unchanged(const FilesRead *read)
{
	const FilesEntry *now = &read->entry;
	const FilesEntry *before = &read->before;

	return before->path != NULL && before->part != NULL && before->problem == NULL &&
	       before->type == TAR_FILE && before->inode == now->inode && before->size == now->size &&
	       before->mtime == now->mtime && before->mtime_ns == now->mtime_ns && before->ctime == now->ctime &&
	       before->ctime_ns == now->ctime_ns;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void
files_read_settle(FilesRead *read, int fd)
{
	struct stat after;

	if (read->entry.problem != NULL || (fstat(fd, &after) == 0 && is_same(&read->status, &after)))
		return;
	read->entry.inode = 0;
	read->entry.problem = mem_strdup("it changed while it was read");
}

/*
 * Labels of security modules belong to this machine's policy, and others cannot be set:
 * only what a user, an administrator, setcap or setfacl gave.
 */
static bool
is_kept_attribute(const char *name)
{
	return str_starts_with(name, "user.") || str_starts_with(name, "trusted.") ||
	       strcmp(name, "security.capability") == 0 || str_starts_with(name, "system.posix_acl_");
}

/* One that cannot be read counts as a problem of the entry, which is stored without it. */
static void
read_attributes(FilesRead *read, int fd)
{
	if (flistxattr(fd, NULL, 0) == 0)
		return;

	AUTO_FREE char *names = mem_alloc(ATTRIBUTES_MAX);
	AUTO_FREE char *value = mem_alloc(ATTRIBUTES_MAX);
	ssize_t names_size = flistxattr(fd, names, ATTRIBUTES_MAX);
	size_t capacity = 0;

	if (names_size < 0 && errno != ENOTSUP && errno != ENOSYS)
		read->entry.problem = mem_printf("its attributes could not be read: %s", strerrordesc_np(errno));
	for (const char *name = names; name < names + names_size; name += strlen(name) + 1)
	{
		if (!is_kept_attribute(name))
			continue;

		ssize_t size = fgetxattr(fd, name, value, ATTRIBUTES_MAX);

		if (size < 0 && errno == ENODATA)
			continue;
		if (size < 0)
		{
			free(read->entry.problem);
			read->entry.problem =
				mem_printf("its attribute \"%s\" could not be read: %s", name, strerrordesc_np(errno));
			continue;
		}

		TarAttribute attribute = {
			.name = mem_strdup(name), .value = mem_alloc((size_t) size + 1), .size = (size_t) size};

		memcpy(attribute.value, value, (size_t) size);
		GROW(read->attributes, read->n_attributes, capacity);
		read->attributes[read->n_attributes++] = attribute;
	}
}

/* Only where the file system knows of holes, and there are some. */
static void
find_extents(FilesRead *read, int fd)
{
	off_t size = read->status.st_size;
	off_t at = 0;

	if ((uint64_t) read->status.st_blocks * 512 >= (uint64_t) size)
		return;
	while (at < size)
	{
		off_t begin = lseek(fd, at, SEEK_DATA);

		if (begin < 0 && errno == ENXIO)
			break; /* nothing but a hole up to the end */

		off_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);

		if (end < 0 || begin >= size)
		{
			tar_extents_release(&read->extents);
			return;
		}

		/* Of a file in shreds the rest is stored with its holes. */
		if (end > size || read->extents.count + 1 == TAR_EXTENTS_MAX)
			end = size;
		tar_extents_add(&read->extents, (uint64_t) begin, (uint64_t) (end - begin));
		at = end;
	}
	read->sparse = read->extents.count != 1 || read->extents.items[0].offset > 0 ||
	               read->extents.items[0].size < (uint64_t) size;
}

/* Small files that change meanwhile are read again: most of them are written at once. */
static void
read_contents(FilesRead *read, int fd)
{
	for (int reads = 1;; reads++)
	{
		size_t wanted = (size_t) read->entry.size;
		AUTO_FREE char *data = mem_alloc(wanted + 1);
		size_t size = 0;
		struct stat after;
		AUTO(Error) error = file_read_at(fd, read->entry.path, 0, data, wanted, &size);

		if (error != NULL)
		{
			read->outcome = FILES_MISSING;
			read->entry.problem = mem_strdup(error_message(error));
			return;
		}
		memset(data + size, 0, wanted - size);
		buf_clear(&read->contents);
		buf_append(&read->contents, data, wanted);
		if (reads == READS_MOST || fstat(fd, &after) != 0 || is_same(&read->status, &after) ||
		    after.st_size > FILES_SMALL_MAX)
			break;
		set_entry(read, &after);
	}
	files_read_settle(read, fd);
}

static void
read_file(FilesRead *read)
{
	struct timespec now;
	struct stat status;

	read->fd = openat(read->directory->fd, read->leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (read->fd < 0)
	{
		set_missing(read, "it could not be opened");
		return;
	}
	(void) clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(read->fd, &status) != 0 || !S_ISREG(status.st_mode))
	{
		errno = ENOENT;
		set_missing(read, "");
		return;
	}
	set_entry(read, &status);
	if (status.st_ctim.tv_sec >= now.tv_sec - SETTLED_AFTER_S)
		read->entry.inode = 0;
	read_attributes(read, read->fd);
	find_extents(read, read->fd);

	/* Several names: the thread that writes may know the file already. */
	read->is_small = !read->sparse && read->links == 1 && read->entry.size <= FILES_SMALL_MAX;
	if (!read->is_small)
		return;
	read_contents(read, read->fd);
	(void) close(read->fd);
	read->fd = -1;
}

static void
read_symlink(FilesRead *read)
{
	char target[TAR_NAME_MAX + 1];
	ssize_t size = readlinkat(read->directory->fd, read->leaf, target, sizeof(target));

	if (size < 0)
		set_missing(read, "it could not be read");
	else if ((size_t) size == sizeof(target))
	{
		errno = ENAMETOOLONG;
		set_missing(read, "it could not be read");
	}
	else
		read->link_target = mem_strndup(target, (size_t) size);
}

/* One that the walk could not go into. */
static void
read_closed_directory(FilesRead *read)
{
	int fd = openat(read->directory->fd, read->leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	read->entry.problem = fd >= 0 ? mem_strdup("it became a directory while it was read")
	                              : mem_printf("what is in it could not be read: %s", strerrordesc_np(errno));
	if (fd >= 0)
		(void) close(fd);
}

static void
read_entry(FilesRead *read)
{
	bool is_directory = read->leaf[0] == '\0';
	struct stat status;

	if ((is_directory ? fstat(read->directory->fd, &status)
	                  : fstatat(read->directory->fd, read->leaf, &status, AT_SYMLINK_NOFOLLOW)) != 0)
	{
		set_missing(read, "it could not be looked at");
		return;
	}
	set_entry(read, &status);
	if (S_ISSOCK(status.st_mode))
		read->outcome = FILES_SKIPPED;
	else if (is_directory)
		read_attributes(read, read->directory->fd);
	else if (S_ISDIR(status.st_mode))
		read_closed_directory(read);
	else if (S_ISLNK(status.st_mode))
		read_symlink(read);
	else if (S_ISREG(status.st_mode) && is_unchanged(read))
	{
		read->outcome = FILES_UNCHANGED;
		read->entry.part = mem_strdup(read->before.part);
	}
	else if (S_ISREG(status.st_mode))
		read_file(read);
}

void
files_batch_free(void *argument)
{
	FilesBatch *batch = argument;

	for (size_t i = 0; batch != NULL && i < batch->count; i++)
		files_read_free(batch->reads[i]);
	free(batch);
}

Error *
files_batch_run(void *argument, const atomic_bool *stop)
{
	FilesBatch *batch = argument;

	for (size_t i = 0; i < batch->count; i++)
	{
		if (atomic_load(stop))
			return error_new(ERR_CANCELLED, "stopped");
		read_entry(batch->reads[i]);
	}
	return NULL;
}
