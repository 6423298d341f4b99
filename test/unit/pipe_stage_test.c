#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

/* A last stage that writes down what it is told. */
typedef struct Witness
{
	Sink sink;
	Buf *notes;
	char name;
	bool refuses;
} Witness;

static Error *
witness_write(Sink *sink, const void *data, size_t size)
{
	Witness *self = (Witness *) sink;

	buf_printf(self->notes, "%c:%.*s ", self->name, (int) size, (const char *) data);
	if (self->refuses)
		return error_new(ERR_SYSTEM, "refused");
	return sink->next == NULL ? NULL : sink_write(sink->next, data, size);
}

static Error *
witness_finish(Sink *sink)
{
	Witness *self = (Witness *) sink;

	buf_printf(self->notes, "%c. ", self->name);
	return self->refuses ? error_new(ERR_SYSTEM, "refused") : NULL;
}

static void
witness_free(Sink *sink)
{
	buf_printf(((Witness *) sink)->notes, "%c! ", ((Witness *) sink)->name);
	free(sink);
}

static const SinkOps witness_ops = {witness_write, witness_finish, witness_free};

static Sink *
witness_new(Buf *notes, char name, bool refuses)
{
	Witness *self = NEW(Witness);

	self->sink.ops = &witness_ops;
	self->notes = notes;
	self->name = name;
	self->refuses = refuses;
	return &self->sink;
}

static void
a_pipe_finishes_first_to_last_and_frees_last_to_first(void **state)
{
	AUTO_BUF(notes, 1000);
	Pipe *pipe = pipe_new();

	(void) state;
	pipe_add(pipe, witness_new(&notes, 'a', false));
	pipe_add(pipe, witness_new(&notes, 'b', false));
	assert_ok(pipe_write(pipe, "x", 1));
	assert_ok(pipe_write(pipe, "", 0));
	assert_ok(pipe_finish(pipe));
	pipe_free(pipe);
	assert_string_equal(notes.data, "a:x b:x a. b. b! a! ");
}

static Error *
note_bytes(void *context, const void *data, size_t size)
{
	Buf *notes = context;

	buf_printf(notes, "(%.*s) ", (int) size, (const char *) data);
	return size > 3 ? error_new(ERR_SYSTEM, "refused") : NULL;
}

static void
a_function_sees_the_bytes_before_the_next_stage(void **state)
{
	AUTO_BUF(notes, 1024);
	AUTO(Pipe) pipe = pipe_new();
	CallbackSink last = callback_sink(note_bytes, &notes);

	(void) state;
	pipe_add(pipe, callback_stage_new(note_bytes, &notes));
	pipe_add(pipe, witness_new(&notes, 'A', false));
	assert_ok(pipe_write(pipe, "ab", 2));
	assert_error(pipe_write(pipe, "abcd", 4), ERR_SYSTEM, "refused");
	assert_ok(pipe_finish(pipe));
	assert_ok(sink_write(&last.sink, "x", 1));
	assert_string_equal(notes.data, "(ab) A:ab (abcd) A. (x) ");
}

static void
after_a_failed_finish_the_later_stages_are_not_finished(void **state)
{
	AUTO_BUF(notes, 1000);
	Pipe *pipe = pipe_new();

	(void) state;
	pipe_add(pipe, witness_new(&notes, 'a', true));
	pipe_add(pipe, witness_new(&notes, 'b', false));
	assert_error(pipe_write(pipe, "x", 1), ERR_SYSTEM, "refused");
	assert_error(pipe_finish(pipe), ERR_SYSTEM, "refused");
	pipe_free(pipe);
	assert_string_equal(notes.data, "a:x a. b! a! ");
}

static void
a_pipe_can_be_the_last_stage_of_another(void **state)
{
	AUTO_BUF(notes, 1000);
	Pipe *outer = pipe_new();
	Pipe *inner = pipe_new();

	(void) state;
	pipe_add(inner, witness_new(&notes, 'i', false));
	pipe_add(outer, witness_new(&notes, 'o', false));
	pipe_add(outer, pipe_as_sink(inner));
	assert_ok(pipe_write(outer, "x", 1));
	assert_ok(pipe_finish(outer));
	pipe_free(outer);
	assert_string_equal(notes.data, "o:x i:x o. i. o! ");
	pipe_free(inner);
}

static void
digest_tells_size_and_sha256(void **state)
{
	AUTO(Pipe) pipe = pipe_new();
	AUTO_BUF(buf, 100);
	Digest digest;
	char text[SHA256_TEXT_SIZE];

	(void) state;
	pipe_add(pipe, digest_stage_new(&digest));
	pipe_add(pipe, buf_sink_new(&buf));
	assert_ok(pipe_write(pipe, "ab", 2));
	assert_ok(pipe_write(pipe, "c", 1));
	assert_ok(pipe_finish(pipe));
	assert_string_equal(buf.data, "abc");
	assert_int_equal(digest.size, 3);
	hex_encode(digest.sha256, SHA256_SIZE, text);

	/* FIPS 180-4, example of one block */
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static Error *
verify(const Digest *expected, const char *text)
{
	AUTO(Pipe) pipe = pipe_new();
	AUTO_BUF(buf, 100);

	pipe_add(pipe, verify_stage_new(expected, "object \"x\""));
	pipe_add(pipe, buf_sink_new(&buf));
	for (const char *c = text; *c != '\0'; c++)
		TRY(pipe_write(pipe, c, 1));
	return pipe_finish(pipe);
}

static void
verify_lets_only_the_expected_bytes_reach_their_finish(void **state)
{
	Digest digest = {.size = 3};

	(void) state;
	sha256_of("abc", 3, digest.sha256);
	assert_ok(verify(&digest, "abc"));
	assert_error(verify(&digest, "abd"), ERR_CORRUPT, "object \"x\" does not match its checksum");
	assert_error(verify(&digest, "ab"), ERR_CORRUPT, "object \"x\" has 2 bytes instead of 3");
	assert_error(verify(&digest, ""), ERR_CORRUPT, "object \"x\" has 0 bytes instead of 3");
	assert_error(verify(&digest, "abcd"), ERR_CORRUPT, "object \"x\" is longer than the expected 3 bytes");
}

static void
what_exceeds_the_buffers_cap_is_corrupt(void **state)
{
	AUTO(Sink) sink = NULL;
	AUTO_BUF(buf, 3);

	(void) state;
	sink = buf_sink_new(&buf);
	assert_ok(sink_write(sink, "abc", 3));
	assert_error(sink_write(sink, "d", 1), ERR_CORRUPT, "longer than 3 bytes");
}

typedef struct Place
{
	char *directory;
	char *path;
	char *temporary;
} Place;

static int
place_make(void **state)
{
	Place *place = NEW(Place);

	place->directory = scratch_make();
	place->path = path_join(place->directory, "RECOVERYXLOG");
	place->temporary = path_join(place->directory, "RECOVERYXLOG.walship-tmp");
	*state = place;
	return 0;
}

static int
place_destroy(void **state)
{
	Place *place = *state;

	scratch_remove(place->directory);
	free(place->path);
	free(place->temporary);
	free(place);
	return 0;
}

static Error *
write_file(const char *path, mode_t mode, const char *text)
{
	AUTO(Pipe) pipe = pipe_new();
	Sink *sink;

	TRY(file_sink_new(path, mode, &sink));
	pipe_add(pipe, sink);
	TRY(pipe_write(pipe, text, strlen(text)));
	return pipe_finish(pipe);
}

static void
assert_file(const char *path, const char *expected)
{
	AUTO_BUF(buf, 1000);

	assert_ok(file_read_all(path, &buf));
	assert_string_equal(buf.data, expected);
}

static void
a_file_appears_with_its_mode_by_finish_and_replaces_what_was_there(void **state)
{
	Place *place = *state;
	mode_t mask = umask(077);
	struct stat status;

	assert_ok(write_file(place->path, 0644, "first"));
	assert_file(place->path, "first");
	assert_int_equal(stat(place->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_ok(write_file(place->path, 0600, "second"));
	assert_file(place->path, "second");
	assert_false(file_exists(place->temporary));
	(void) umask(mask);
}

static void
a_file_that_is_not_finished_leaves_nothing(void **state)
{
	Place *place = *state;
	Sink *sink;

	assert_ok(file_replace(place->path, "old", 3, 0600));
	assert_ok(file_sink_new(place->path, 0600, &sink));
	assert_ok(sink_write(sink, "new", 3));
	assert_true(file_exists(place->temporary));
	assert_file(place->path, "old");
	sink_free(sink);
	assert_false(file_exists(place->temporary));
	assert_file(place->path, "old");
}

static void
the_leftover_of_a_killed_process_is_taken_over(void **state)
{
	Place *place = *state;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
	{
		Sink *sink = NULL;

		error_free(file_sink_new(place->path, 0600, &sink));
		if (sink != NULL)
			error_free(sink_write(sink, "a longer text that was left over", 32));
		(void) raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(file_exists(place->temporary));
	assert_ok(write_file(place->path, 0600, "short"));
	assert_file(place->path, "short");
	assert_false(file_exists(place->temporary));
}

static void
a_file_that_another_writes_is_left_to_it(void **state)
{
	Place *place = *state;
	AUTO(Pipe) pipe = pipe_new();
	Sink *sink;

	assert_ok(file_sink_new(place->path, 0600, &sink));
	pipe_add(pipe, sink);
	assert_ok(pipe_write(pipe, "mine", 4));
	assert_error(write_file(place->path, 0600, "other"), ERR_TRANSIENT,
	             "is being written by another process");
	assert_ok(pipe_finish(pipe));
	assert_file(place->path, "mine");
}

static void
what_is_no_regular_file_is_refused_before_anything_is_written(void **state)
{
	Place *place = *state;

	assert_int_equal(mkdir(place->path, 0700), 0);
	assert_error(write_file(place->path, 0600, "x"), ERR_USAGE, "not a regular file");
	assert_int_equal(rmdir(place->path), 0);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	assert_error(write_file(place->path, 0600, "x"), ERR_USAGE, "not a regular file");
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(symlink("/dev/null", place->path), 0);
	assert_error(write_file(place->path, 0600, "x"), ERR_USAGE, "not a regular file");
	assert_int_equal(unlink(place->path), 0);
	assert_false(file_exists(place->temporary));

	assert_int_equal(mkfifo(place->temporary, 0600), 0);
	assert_error(write_file(place->path, 0600, "x"), ERR_USAGE, "RECOVERYXLOG.walship-tmp\" exists");
}

static void
errors_name_the_path_and_the_reason(void **state)
{
	Place *place = *state;
	AUTO_FREE char *nowhere = path_join(place->directory, "missing/file");

	assert_error(write_file(nowhere, 0600, "x"), ERR_SYSTEM,
	             "missing/file.walship-tmp\": No such file or directory");
}

#define ON_FILES(test) cmocka_unit_test_setup_teardown(test, place_make, place_destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_finishes_first_to_last_and_frees_last_to_first),
		cmocka_unit_test(a_function_sees_the_bytes_before_the_next_stage),
		cmocka_unit_test(after_a_failed_finish_the_later_stages_are_not_finished),
		cmocka_unit_test(a_pipe_can_be_the_last_stage_of_another),
		cmocka_unit_test(digest_tells_size_and_sha256),
		cmocka_unit_test(verify_lets_only_the_expected_bytes_reach_their_finish),
		cmocka_unit_test(what_exceeds_the_buffers_cap_is_corrupt),
		ON_FILES(a_file_appears_with_its_mode_by_finish_and_replaces_what_was_there),
		ON_FILES(a_file_that_is_not_finished_leaves_nothing),
		ON_FILES(the_leftover_of_a_killed_process_is_taken_over),
		ON_FILES(a_file_that_another_writes_is_left_to_it),
		ON_FILES(what_is_no_regular_file_is_refused_before_anything_is_written),
		ON_FILES(errors_name_the_path_and_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
