/* Where PostgreSQL's own programs are on this machine. */
#pragma once

#include "walship/base/error.h"

/*
 * The directory of the programs of this major: "given" (NULL: not given), else
 * where Debian, Red Hat, PGDG, SUSE and Alpine put them, else PATH.  ERR_SYSTEM,
 * with the package to install, when no "postgres" there is of this major.  The
 * caller frees.
 */
Error *programs_find(const char *given, int major, char **ret_directory) MUST_CHECK;

/*
 * Likewise the directory of a client program, such as "pg_dump", of this major or a newer one, the
 * nearest first: an older one refuses a newer server.
 */
Error *programs_find_client(const char *given, const char *name, int least, char **ret_directory,
                            int *ret_major) MUST_CHECK;

/* One of them, as an absolute path; NULL when it is not there.  The caller frees. */
char *program_in(const char *directory, const char *name);
