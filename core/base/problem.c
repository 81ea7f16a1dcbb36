/* Problems and their words. */
#include "base/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json_text.h"

int apd_problem_set(struct apd_problem *problem, enum apd_problem_code code, const char *fmt, ...)
{
	va_list ap;

	*problem = (struct apd_problem){.code = code};
	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() has set it. */
	vsnprintf(problem->message, sizeof(problem->message), fmt, ap);
	va_end(ap);
	return -1;
}

const char *apd_problem_word(enum apd_problem_code code)
{
	static const char *const words[] = {"none",
#define X(name, word, status) word,
		APD_PROBLEMS(X)
#undef X
	};
	return words[code];
}

int apd_problem_status(enum apd_problem_code code)
{
	static const int statuses[] = {200,
#define X(name, word, status) status,
		APD_PROBLEMS(X)
#undef X
	};
	return statuses[code];
}

const char *apd_run_error_word(enum apd_run_error error)
{
	static const char *const words[] = {"none",
#define X(name, word) word,
		APD_RUN_ERRORS(X)
#undef X
	};
	return words[error];
}

void apd_problem_add_json(struct apd_buf *out, const struct apd_problem *problem)
{
	apd_buf_lit(out, "{");
	apd_json_member_str(out, "code", apd_str(apd_problem_word(problem->code)));
	apd_json_member_str(out, "message", apd_str(problem->message));
	apd_json_add_key(out, "metadata");
	apd_buf_lit(out, "{");
	if (problem->path[0])
		apd_json_member_str(out, "path", apd_str(problem->path));
	apd_buf_lit(out, "}}");
}
