/* The restore_command of a recovery; see walship/plan/recovery_conf.h. */
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/plan/recovery_conf.h"

static void
append_percent_doubled(const char *text, Buf *into)
{
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '%')
			buf_putc(into, '%');
		buf_putc(into, *c);
	}
}

char *
recovery_restore_command(const char *program, const char *flags, const char *plan_end)
{
	AUTO_FREE char *quoted = str_shell_quote(program);
	AUTO_BUF(command, RECOVERY_CONF_VALUE_MAX);

	append_percent_doubled(quoted, &command);
	buf_puts(&command, " fetch");
	if (plan_end[0] != '\0')
		buf_printf(&command, " --plan-end %s", plan_end);
	append_percent_doubled(flags, &command);
	buf_puts(&command, " %f %p");
	return command.overflowed ? NULL : buf_steal(&command);
}
