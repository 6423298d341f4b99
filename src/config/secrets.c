/* Files of secrets and of settings: who may read them, and who may write them. */
#include "walship/config/secret_file.h"

#include <string.h>
#include <unistd.h>

#include "private.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define MODE_BITS 07777

Error *
config_read_file(const char *path, Buf *into, struct stat *ret_stat)
{
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *data = NULL;
	struct stat status;
	size_t size;

	TRY(file_open_read(path, &fd, &status));
	if (status.st_size > SETTING_FILE_MAX)
		return error_new(ERR_USAGE, "file \"%s\" is larger than 1 MiB", path);
	data = mem_alloc(SETTING_FILE_MAX);
	TRY(file_read_at(fd, path, 0, data, SETTING_FILE_MAX, &size));
	buf_append(into, data, size);
	secret_clear(data, size);
	*ret_stat = status;
	return NULL;
}

static bool
in_group(gid_t group)
{
	AUTO_FREE gid_t *groups = NULL;
	int count = getgroups(0, NULL);

	if (getegid() == group)
		return true;
	if (count <= 0)
		return false;
	groups = NEW_ARRAY(gid_t, (size_t) count);
	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
	{
		if (groups[i] == group)
			return true;
	}
	return false;
}

Error *
config_check_writers(const char *path, const struct stat *status)
{
	if ((status->st_mode & S_IWOTH) == 0)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "file \"%s\" has mode %04o: everyone may write it", path,
	                            status->st_mode & MODE_BITS),
	                  "Whoever writes it decides where backups go; run: chmod o-w '%s'", path);
}

Error *
config_check_secrecy(const char *path, const struct stat *status)
{
	mode_t mode = status->st_mode & (S_IRWXG | S_IRWXO);

	if (mode == 0)
		return NULL;
	if (mode == S_IRGRP && status->st_uid == 0 && in_group(status->st_gid))
		return NULL;
	if (mode == S_IRGRP)
		return error_hint(
			error_new(ERR_USAGE,
		              "file \"%s\" holds a secret and has mode %04o, but is not owned by root with "
		              "a group of this user",
		              path, status->st_mode & MODE_BITS),
			"Run: chmod 0600 '%s'", path);
	return error_hint(error_new(ERR_USAGE, "file \"%s\" holds a secret and has mode %04o: others may use it",
	                            path, status->st_mode & MODE_BITS),
	                  "Run: chmod 0600 '%s' (or 0640, when root owns it and its group is this user's)", path);
}

void
secret_buf_release(Buf *buf)
{
	secret_clear(buf->data, buf->size);
	buf_release(buf);
}

/*
 * Who writes the secret itself where its file is asked for must not find it in the
 * server's log.  Beginning with '/', as one key of AWS in sixty-four, it passes for a
 * path; but then hardly for one in a directory that exists.
 */
bool
config_may_be_secret(const char *path)
{
	AUTO_FREE char *directory = path_parent(path);

	return !file_exists(path) &&
	       (directory[0] == '\0' || strcmp(directory, "/") == 0 || !file_exists(directory));
}

Error *
secret_file_read(const char *path, Buf *into)
{
	struct stat status;

	secret_forbid_core_files();
	if (config_may_be_secret(path))
		return error_hint(error_new(ERR_USAGE, "the file that it names does not exist"),
		                  "Write the absolute path of a file, not what it holds.");

	Error *error = config_read_file(path, into, &status);

	/* Made by root, as set-ups are, and read by the server's user. */
	if (error_is(error, ERR_DENIED))
		error = error_hint(
			error,
			"The user that runs walship must be able to read it: install -o root -g postgres -m 640 "
			"KEY '%s', or mode 0600 and its own.",
			path);
	TRY(config_as_usage_error(error));
	return config_check_secrecy(path, &status);
}

Error *
secret_file_read_line(const char *path, char **ret_secret)
{
	AUTO_SECRET_BUF(contents, SETTING_FILE_MAX);
	size_t length;

	TRY(secret_file_read(path, &contents));
	length = contents.data == NULL ? 0 : strcspn(contents.data, "\r\n");
	if (length == 0)
		return error_new(ERR_USAGE, "the first line of file \"%s\" is empty", path);
	if (contents.data[length + strspn(contents.data + length, "\r\n")] != '\0')
		return error_new(ERR_USAGE, "file \"%s\" has more than one line", path);
	*ret_secret = mem_strndup(contents.data, length);
	return NULL;
}

Error *
public_file_read(const char *path, Buf *into)
{
	struct stat status;

	TRY(config_as_usage_error(config_read_file(path, into, &status)));
	return config_check_writers(path, &status);
}

/* "Not found" above all: of fetch it would mean that the archive ends. */
Error *
config_as_usage_error(Error *error)
{
	Error *usage;

	if (error == NULL || error_is(error, ERR_USAGE))
		return error;
	usage = error_new(ERR_USAGE, "%s", error_message(error));
	if (error_get_hint(error) != NULL)
		usage = error_hint(usage, "%s", error_get_hint(error));
	error_free(error);
	return usage;
}
