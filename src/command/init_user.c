/* Changing users: seteuid(2) keeps root as the saved one, so that nobody else may signal or trace this process. */
#include "init_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/mem.h"

#define GROUPS_MOST 256

void
init_user_release(InitUser *user)
{
	free(user->name);
	free(user->home);
	free(user->groups);
	*user = (InitUser){0};
}

static void
take(const struct passwd *entry, InitUser *user)
{
	*user = (InitUser){.name = mem_strdup(entry->pw_name),
	                   .home = mem_strdup(entry->pw_dir),
	                   .uid = entry->pw_uid,
	                   .gid = entry->pw_gid,
	                   .groups = NEW_ARRAY(gid_t, GROUPS_MOST),
	                   .n_groups = GROUPS_MOST};

	const struct group *own = getgrgid(user->gid);

	user->has_own_group = own != NULL && strcmp(own->gr_name, user->name) == 0;

	/* Of one that is in more groups the first ones do. */
	if (getgrouplist(user->name, user->gid, user->groups, &user->n_groups) < 0)
		user->n_groups = GROUPS_MOST;
}

Error *
init_user_of(uid_t uid, InitUser *ret_user)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry == NULL)
		return error_new(ERR_SYSTEM, "the server's files belong to user %u, whom this machine does not know",
		                 (unsigned) uid);
	take(entry, ret_user);
	return NULL;
}

Error *
init_user_named(const char *name, InitUser *ret_user)
{
	const struct passwd *entry = getpwnam(name);

	if (entry == NULL)
		return error_new(ERR_SYSTEM, "this machine has no user \"%s\"", name);
	take(entry, ret_user);
	return NULL;
}

Error *
init_user_enter(const InitUser *user)
{
	if (geteuid() != 0 || user->uid == 0)
		return NULL;
	if (setgroups((size_t) user->n_groups, user->groups) != 0 || setegid(user->gid) != 0 ||
	    seteuid(user->uid) != 0)
		return error_errno("could not become user \"%s\"", user->name);
	return NULL;
}

Error *
init_user_leave(void)
{
	gid_t group = getgid();

	if (getuid() != 0 || geteuid() == 0)
		return NULL;
	if (seteuid(0) != 0 || setegid(group) != 0 || setgroups(1, &group) != 0)
		return error_errno("could not become root again");
	return NULL;
}

const ChildUser *
init_user_child(const InitUser *user, ChildUser *child)
{
	*child = (ChildUser){
		.uid = user->uid, .gid = user->gid, .groups = user->groups, .n_groups = (size_t) user->n_groups};
	return geteuid() == 0 && user->uid != 0 ? child : NULL;
}
