/* See files_place.h. */
#include "files_place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "walship/base/dir.h"
#include "walship/base/mem.h"

#define DIRECTORY_MODE \
	0700 /* until its own comes, last of all: who may not write into it could restore nothing there */

Error *
files_place_open(const char *path, int *ret_fd)
{
	AUTO_STRLIST names = {0};

	TRY(dir_make(path, DIRECTORY_MODE));
	TRY(dir_list(path, &names));
	if (names.count > 0)
		return error_hint(error_new(ERR_EXISTS, "directory \"%s\" is not empty", path),
		                  "Files are restored into a directory of their own; move them from there.");
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? error_errno("could not open directory \"%s\"", path) : NULL;
}

static Error *
open_below(const FilesPlace *place, int directory, const char *name, const char *path, int *ret_fd)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	*ret_fd = openat(directory, name, flags);
	if (*ret_fd < 0 && errno == ENOENT)
	{
		if (mkdirat(directory, name, DIRECTORY_MODE) != 0 && errno != EEXIST)
			return error_errno("could not create directory \"%s/%s\"", place->path, path);
		*ret_fd = openat(directory, name, flags);
	}
	if (*ret_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return error_new(ERR_CORRUPT, "path \"%s\" leads through something that is no directory", path);
	return *ret_fd < 0 ? error_errno("could not open directory \"%s/%s\"", place->path, path) : NULL;
}

static Error *
follow(const FilesPlace *place, char *path, int *ret_fd)
{
	int at = fcntl(place->fd, F_DUPFD_CLOEXEC, 0);
	char *next;

	if (at < 0)
		return error_errno("could not open directory \"%s\"", place->path);
	for (char *name = path; name != NULL && *name != '\0'; name = next)
	{
		char *slash = strchr(name, '/');
		int below = -1;

		next = slash == NULL ? NULL : slash + 1;
		if (slash != NULL)
			*slash = '\0';

		Error *error = open_below(place, at, name, path, &below);

		(void) close(at);
		if (slash != NULL)
			*slash = '/';
		TRY(error);
		at = below;
	}
	*ret_fd = at;
	return NULL;
}

Error *
files_parent_find(const FilesPlace *place, FilesParent *parent, const char *path, const char **ret_leaf)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *above = slash == NULL ? mem_strdup("") : mem_strndup(path, (size_t) (slash - path));

	if (!files_path_is_safe(path))
		return error_new(ERR_CORRUPT, "path \"%s\" leads out of the directory", path);
	*ret_leaf = slash == NULL ? path : slash + 1;
	if (parent->path != NULL && strcmp(parent->path, above) == 0)
		return NULL;
	files_parent_close(parent);
	TRY(follow(place, above, &parent->fd));
	parent->path = MOVE(above);
	return NULL;
}

void
files_parent_close(FilesParent *parent)
{
	if (parent->path != NULL)
		(void) close(parent->fd);
	free(parent->path);
	*parent = (FilesParent){.fd = -1};
}

FilesFacts *
files_facts_new(const TarEntry *entry)
{
	FilesFacts *facts = NEW(FilesFacts);

	*facts = (FilesFacts){.mode = entry->mode,
	                      .uid = entry->uid,
	                      .gid = entry->gid,
	                      .mtime = entry->mtime,
	                      .mtime_ns = entry->mtime_ns,
	                      .attributes = NEW_ARRAY(TarAttribute, entry->n_attributes + 1),
	                      .n_attributes = entry->n_attributes};
	for (size_t i = 0; i < entry->n_attributes; i++)
	{
		const TarAttribute *from = &entry->attributes[i];

		facts->attributes[i] = (TarAttribute){mem_strdup(from->name), mem_alloc(from->size + 1), from->size};
		memcpy(facts->attributes[i].value, from->value, from->size);
	}
	return facts;
}

void
files_facts_free(FilesFacts *facts)
{
	if (facts == NULL)
		return;
	for (size_t i = 0; i < facts->n_attributes; i++)
	{
		free(facts->attributes[i].name);
		free(facts->attributes[i].value);
	}
	free(facts->attributes);
	free(facts);
}

static void
set_times(const FilesFacts *facts, struct timespec ret_times[2])
{
	ret_times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	ret_times[1] = (struct timespec){.tv_sec = (time_t) facts->mtime, .tv_nsec = facts->mtime_ns};
}

/* Files do not become somebody's who did not have them: only root gives them away, others keep what they make. */
static bool
may_give_away(void)
{
	return geteuid() == 0;
}

/*
 * In this order: a new owner takes capabilities and the set-user-ID bit away, an ACL says
 * the mode's group bits, and everything changes the times.
 */
Error *
files_facts_apply(const FilesFacts *facts, int fd, const char *path, char **ret_left_out)
{
	struct timespec times[2];

	if (may_give_away() && fchown(fd, facts->uid, facts->gid) != 0)
		return error_errno("could not set the owner of \"%s\"", path);
	for (size_t i = 0; i < facts->n_attributes; i++)
	{
		const TarAttribute *attribute = &facts->attributes[i];

		if (fsetxattr(fd, attribute->name, attribute->value, attribute->size, 0) == 0)
			continue;
		if (errno != EPERM && errno != ENOTSUP && errno != EACCES && errno != EINVAL)
			return error_errno("could not set attribute \"%s\" of \"%s\"", attribute->name, path);
		if (*ret_left_out == NULL)
			*ret_left_out =
				mem_printf("attribute \"%s\" could not be set: %s", attribute->name, strerrordesc_np(errno));
	}
	if (fchmod(fd, facts->mode) != 0)
		return error_errno("could not set the permissions of \"%s\"", path);
	set_times(facts, times);
	return futimens(fd, times) != 0 ? error_errno("could not set the times of \"%s\"", path) : NULL;
}

Error *
files_facts_apply_at(const FilesFacts *facts, bool is_symlink, int directory, const char *leaf,
                     const char *path)
{
	struct timespec times[2];

	if (may_give_away() && fchownat(directory, leaf, facts->uid, facts->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return error_errno("could not set the owner of \"%s\"", path);
	if (!is_symlink && fchmodat(directory, leaf, facts->mode, 0) != 0)
		return error_errno("could not set the permissions of \"%s\"", path);
	set_times(facts, times);
	if (utimensat(directory, leaf, times, AT_SYMLINK_NOFOLLOW) != 0)
		return error_errno("could not set the times of \"%s\"", path);
	return NULL;
}
