/* Directories, and paths as text. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"

/* Makes the directory and its missing parents, each made durable in its own parent. */
Error *dir_make(const char *path, mode_t mode) MUST_CHECK;
Error *dir_sync(const char *path) MUST_CHECK;

/* Names in the directory without "." and "..", in byte order.  A missing directory is ERR_NOT_FOUND. */
Error *dir_list(const char *path, StrList *ret_names) MUST_CHECK;

/* Only those with this ending, and in no order: for a directory of many thousands, of which few matter. */
Error *dir_list_ending(const char *path, const char *suffix, StrList *ret_names) MUST_CHECK;

/*
 * Removes everything below the directory, and the directory itself unless "keep".  Follows no link below it;
 * "path" itself may be a link to a directory only with "keep".
 */
Error *dir_remove_tree(const char *path, bool keep) MUST_CHECK;

/*
 * The directories in which "path" lies, nearest first, by their true names (no link), up to "/"; beginning with itself if it is
 * one.  What does not exist of it is left out.
 */
Error *dir_list_above(const char *path, StrList *ret_directories) MUST_CHECK;

/* Is that one of them?  A directory that is not there holds nothing. */
Error *dir_holds(const char *directory, const char *path, bool *ret_holds) MUST_CHECK;

char *path_join(const char *directory, const char *name); /* in "" it is the name alone; the caller frees */
char *path_parent(const char *path);     /* textual: "a/b" → "a", "a" → "."; the caller frees */
const char *path_leaf(const char *path); /* what follows the last '/' */
char *path_absolute(const char *path);   /* against the working directory; resolves no link */
