/*
 * Files that settings name: of secrets, which only this user or root may read, and of
 * public things that decide for whom something is encrypted, which not everyone may write.
 * Whatever is wrong with one, also that it is missing, is ERR_USAGE; messages never quote the contents.
 */
#pragma once

#include "walship/base/buf.h"
#include "walship/base/error.h"

/* A buffer of secrets, overwritten at scope exit: AUTO_SECRET_BUF(name, cap); */
void secret_buf_release(Buf *buf);

#define AUTO_SECRET_BUF(name, cap_) __attribute__((cleanup(secret_buf_release))) Buf name = {.cap = (cap_)}

#define SETTING_FILE_MAX (1024u * 1024)

/* All of it, at most SETTING_FILE_MAX bytes.  On failure "into" may hold some of it, too. */
Error *secret_file_read(const char *path, Buf *into) MUST_CHECK;

/* The first line, which is the only one.  The caller frees it with secret_free(). */
Error *secret_file_read_line(const char *path, char **ret_secret) MUST_CHECK;

Error *public_file_read(const char *path, Buf *into) MUST_CHECK;
