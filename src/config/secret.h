/* Who may read a file that holds a secret, and who may write the settings file. */
#pragma once

#include <sys/stat.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

/* Reads a whole file, and says what it is: of the descriptor that was read, not of the name. */
Error *config_read_file(const char *path, Buf *into, struct stat *ret_stat) MUST_CHECK;

/* Nobody but its owner and perhaps root may write the file. */
Error *config_check_writers(const char *path, const struct stat *status) MUST_CHECK;

/* 0600 or stricter; or 0640, owned by root, with a group that this process is in. */
Error *config_check_secrecy(const char *path, const struct stat *status) MUST_CHECK;

/* Every error of settings is ERR_USAGE, also when a file could not be read.  Takes and returns ownership. */
Error *config_as_usage_error(Error *error) MUST_CHECK;

/* The file's first line, which must be its only one. */
Error *config_read_secret(const char *path, char **ret_secret) MUST_CHECK;
