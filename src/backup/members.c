/* Members of the parts of a backup; see members.h. */
#include "members.h"

#include <string.h>

#include "walship/base/mem.h"

/* As it lies in the spool; the path follows, without a NUL. */
typedef struct MemberHead
{
	uint64_t size;
	uint64_t path_size;
} MemberHead;

uint64_t
member_list_end(const MemberList *list)
{
	return list->spool == NULL ? 0 : spool_size(list->spool);
}

static char *
path_of_member(const char *set, const TarEntry *entry)
{
	const char *slash = entry->type == TAR_DIRECTORY ? "/" : "";
	bool is_tablespace = *set >= '0' && *set <= '9';

	return mem_printf("%s%s%s%s%s", is_tablespace ? "pg_tblspc/" : "", is_tablespace ? set : "",
	                  is_tablespace ? "/" : "", entry->name, slash);
}

static Error *
keep_member(MemberList *list, const char *spool_directory, const char *path, uint64_t size)
{
	MemberHead head = {.size = size, .path_size = strlen(path)};

	if (list->spool == NULL)
		list->spool = spool_new(spool_directory);
	TRY(spool_write(list->spool, &head, sizeof(head)));
	return spool_write(list->spool, path, head.path_size);
}

void
member_list_add(MemberList *list, const char *spool_directory, const char *set, const TarEntry *entry)
{
	AUTO_FREE char *path = path_of_member(set, entry);

	if (list->error == NULL && spool_directory != NULL)
		list->error = keep_member(list, spool_directory, path, entry->size);
}

Error *
member_list_read(const MemberList *list, uint64_t *at, char ret_path[MEMBER_PATH_SIZE], uint64_t *ret_size)
{
	Slice members = spool_slice(list->spool);
	MemberHead head;
	size_t size;

	TRY(slice_read(&members, *at, &head, sizeof(head), &size));
	if (size < sizeof(head) || head.path_size >= MEMBER_PATH_SIZE)
		return error_new(ERR_SYSTEM, "the list of the backup's files was not kept as it was written");
	TRY(slice_read(&members, *at + sizeof(head), ret_path, head.path_size, &size));
	ret_path[size] = '\0';
	*ret_size = head.size;
	*at += sizeof(head) + head.path_size;
	return NULL;
}

void
member_list_release(MemberList *list)
{
	spool_free(list->spool);
	error_free(list->error);
	*list = (MemberList){0};
}
