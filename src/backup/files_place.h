/*
 * A directory that files are restored into, and nothing outside of it: a path is
 * followed from there, one directory after the other, through no link.
 */
#pragma once

#include <stdint.h>

#include "files_list.h"
#include "walship/base/error.h"
#include "walship/pipe/tar.h"

typedef struct FilesPlace
{
	const char *path; /* for messages */
	int fd;           /* not owned */
} FilesPlace;

/* The directory that was used last: of many files in one directory only the first has to find the way. */
typedef struct FilesParent
{
	char *path;
	int fd; /* -1: none */
} FilesParent;

/* Makes it, or takes one that is empty; else ERR_EXISTS. */
Error *files_place_open(const char *path, int *ret_fd) MUST_CHECK;

/* The directory of "path", made with its parents where it is not there yet; open as long as "parent" is not used again. */
Error *files_parent_find(const FilesPlace *place, FilesParent *parent, const char *path,
                         const char **ret_leaf) MUST_CHECK;
void files_parent_close(FilesParent *parent);

/* Owner, attributes, mode and times, of what is open or, fd -1, of a leaf that is no directory. */
typedef struct FilesFacts
{
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint32_t mtime_ns;
	TarAttribute *attributes;
	size_t n_attributes;
} FilesFacts;

FilesFacts *files_facts_new(const TarEntry *entry);
void files_facts_free(FilesFacts *facts);

/* What this user or this file system cannot have is no error: *ret_left_out says what and why, else it is NULL. */
Error *files_facts_apply(const FilesFacts *facts, int fd, const char *path, char **ret_left_out) MUST_CHECK;
Error *files_facts_apply_at(const FilesFacts *facts, bool is_symlink, int directory, const char *leaf,
                            const char *path) MUST_CHECK;
