/*
 * A child that works on a stream: what it prints is read here as it comes, or what
 * it reads is written here; its standard error is kept meanwhile.  One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/child.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"

#define CHILD_ERRORS_MAX (256u * 1024) /* bytes of its standard error; what comes after them is dropped */

typedef struct ChildStream ChildStream;

/*
 * Of the options "input", "output" and "errors" are set here.  "fed": its standard
 * input is what is written, else it is empty.
 */
Error *child_stream_start(const ChildOptions *options, bool fed, ChildStream **ret_stream) MUST_CHECK;

/* Waits for more of its standard output; *ret_size is 0 at its end. */
Error *child_stream_read(ChildStream *stream, void *data, size_t size, size_t *ret_size) MUST_CHECK;

/*
 * To its standard input.  *ret_taken turns false when it reads no more, which is no
 * error: it may have seen enough, and its exit status tells.  What it prints meanwhile
 * goes to "output", as far as that has room.
 */
Error *child_stream_write(ChildStream *stream, const void *data, size_t size, Buf *output, bool *ret_taken)
	MUST_CHECK;

/*
 * Ends its standard input, reads what is left of its output (into "output", which may be
 * NULL: it is dropped), and waits for its end.  The status is as of child_has_ended().
 */
Error *child_stream_end(ChildStream *stream, Buf *output, int *ret_status) MUST_CHECK;

/* Its standard error so far, as lines that are not empty. */
void child_stream_errors(const ChildStream *stream, StrList *ret_lines);

/* Kills it, if it has not ended. */
void child_stream_free(ChildStream *stream);
AUTO_DEFINE(ChildStream, child_stream_free);
