/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning a list of problems. Every problem that an operation chooses for is told to whoever listens, so the list comes
 * from running the operations, and is exactly what they use. The time that is left is shared out among the problems
 * that are left, more for those with more candidates: one that needs less leaves the others more. Work-group sizes come
 * last, because which kernels run depends on the choices before them.
 */
#include "tune_internal.h"

#include "conv_internal.h"
#include "operand.h"
#include "variant.h"

/* Seconds for one problem: the most, and the least worth beginning with. */
#define MOST  10.0
#define LEAST 0.02

/* ---- results ---- */

static const clef__tuned *find(const clef_device *dev, const char *problem)
{
	for (int i = 0; i < clef__tuning_count(dev); i++)
		if (strcmp(clef__tuning_get(dev, i)->problem, problem) == 0)
			return clef__tuning_get(dev, i);
	return NULL;
}

static clef_tune_result result_of(const clef__tuned *t, char text[CLEF__CHOICE_TEXT])
{
	return (clef_tune_result){ .problem = t->problem,
				   .before = t->shipped,
				   .after = clef__choice_text(&t->choice, text),
				   .before_ms = t->shipped_ms,
				   .after_ms = t->ms,
				   .wrong = t->wrong,
				   .first_use = t->first_use };
}

static bool is_changed(const clef__tuned *t)
{
	return strcmp(t->choice.name, t->shipped) != 0 || t->choice.param[0].name[0];
}

/* ---- who chooses ---- */

static const struct {
	const char *begins; /* the text of its problems */
	double most;        /* seconds for one */
	double share;       /* of one in the time */
	clef_status (*measurable)(clef_device *dev, const char *problem);
	clef_status (*measure)(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
			       bool *done);
} choosers[] = {
	{ "gemm ", MOST, 1, clef__gemm_measurable, clef__gemm_measure },
	{ "conv ", MOST, 1, clef__conv_measurable, clef__conv_measure },
	{ "pool ", MOST, 0.3, clef__variant_measurable, clef__variant_measure },
	{ "normalize ", MOST, 0.3, clef__variant_measurable, clef__variant_measure },
	/* Each set of parameters is compiled for many seconds. */
	{ "clblast ", 600, 1, clef__clblast_measurable, clef__clblast_measure },
	{ "launch ", 2, 0.1, clef__launch_measurable, clef__launch_measure },
};
#define LAST "launch "

static int find_chooser(const char *problem)
{
	for (int i = 0; i < CLEF_COUNT(choosers); i++)
		if (strncmp(problem, choosers[i].begins, strlen(choosers[i].begins)) == 0)
			return i;
	return -1;
}

/* ---- a session ---- */

clef_status clef__session_begin(clef__session *s, const char *function, clef_device *dev, const clef_tune_opts *opts)
{
	*s = (clef__session){ .dev = dev, .opts = opts ? *opts : (clef_tune_opts){ 0 }, .start = clef__seconds() };
	if (!dev)
		return clef__null_argument(function);
	if (!(s->opts.budget >= 0))
		return clef__fail(CLEF_ERROR_INVALID, "%s: the budget is %g seconds: it must not be negative", function,
				  s->opts.budget);
	return CLEF_OK;
}

static bool is_last(const char *problem)
{
	return strncmp(problem, LAST, strlen(LAST)) == 0;
}

/* Those that come last stay behind the others that are not done. */
static void put(clef__session *s, char *problem)
{
	int at = s->count++;

	for (; at > s->done && !is_last(problem) && is_last(s->problem[at - 1]); at--)
		s->problem[at] = s->problem[at - 1];
	s->problem[at] = problem;
}

static void add(void *user, const char *problem)
{
	clef__session *s = user;
	char *copy;

	for (int i = 0; i < s->count; i++)
		if (strcmp(s->problem[i], problem) == 0)
			return;
	if (!s->status)
		s->status =
			clef__grow(&s->problem, &s->capacity, s->count + 1, sizeof(*s->problem), "a list of problems");
	copy = s->status ? NULL : clef__strdup(problem);
	if (copy)
		put(s, copy);
	else
		s->status = CLEF_ERROR_MEMORY;
}

void clef__session_collect(clef__session *s, bool collect)
{
	clef__tuning_watch(s->dev, collect ? add : NULL, s);
}

bool clef__session_stopped(clef__session *s)
{
	s->report.stopped = s->report.stopped || (s->opts.stop && s->opts.stop(s->opts.user));
	return s->report.stopped;
}

static bool is_stopped(void *user)
{
	return clef__session_stopped(user);
}

/* Seconds of the budget for problems. */
static double left_of(const clef__session *s)
{
	return s->opts.budget - s->reserve - (clef__seconds() - s->start);
}

static double shares_left(const clef__session *s)
{
	double sum = 0;

	for (int i = s->done; i < s->count; i++)
		sum += choosers[find_chooser(s->problem[i])].share;
	return sum;
}

void clef__session_tell(clef__session *s, const char *problem, const clef_tune_result *result, double more)
{
	double elapsed = clef__seconds() - s->start;
	clef_tune_progress p = { .done = s->done, .count = s->count, .elapsed = elapsed, .left = more };

	if (problem) {
		/* As long for those to come as for those that were. */
		p.left = s->done ? elapsed / s->done * (s->count - s->done) : MOST * shares_left(s);
		p.left += s->reserve;
		if (s->opts.budget > 0)
			p.left = CLEF__MAX(CLEF__MIN(p.left, s->opts.budget - elapsed), 0);
	}
	p.problem = problem;
	p.result = result;
	if (s->opts.progress)
		s->opts.progress(s->opts.user, &p);
}

static clef_status tune_one(clef__session *s, const char *problem, double seconds)
{
	const clef__measure_opts how = { .seconds = seconds, .stop = is_stopped, .user = s };
	char text[CLEF__CHOICE_TEXT];
	clef_tune_result result;
	clef_status status;
	clef__tuned t;
	bool done;

	clef__session_tell(s, problem, NULL, 0);
	status = choosers[find_chooser(problem)].measure(s->dev, problem, &how, &t, &done);
	/* What one of them takes is not there for the next. */
	clef_device_trim(s->dev);
	if (status || !done)
		return status;
	status = clef__tuning_keep(s->dev, &t, true);
	if (status)
		return status;
	s->report.measured++;
	result = result_of(&t, text);
	clef__session_tell(s, problem, &result, 0);
	return CLEF_OK;
}

clef_status clef__session_tune(clef__session *s)
{
	clef_status status = s->status;

	for (; s->done < s->count && !status; s->done++) {
		const char *problem = s->problem[s->done];
		const clef__tuned *t = find(s->dev, problem);
		int chooser = find_chooser(problem);
		double seconds = choosers[chooser].most;

		if (t && !t->first_use && !s->opts.again) {
			s->report.known++;
			continue;
		}
		if (s->opts.budget > 0)
			seconds = CLEF__MIN(seconds, left_of(s) * choosers[chooser].share / shares_left(s));
		if (seconds < LEAST || clef__session_stopped(s))
			break;
		status = tune_one(s, problem, seconds);
	}
	return status;
}

clef_status clef__session_end(clef__session *s, clef_status status, clef_tune_report *report)
{
	s->report.problems = s->count;
	for (int i = 0; i < s->count; i++) {
		const clef__tuned *t = find(s->dev, s->problem[i]);

		s->report.changed += t && is_changed(t);
		s->report.wrong += t && t->wrong[0];
		free(s->problem[i]);
	}
	free(s->problem);
	clef__launches_release(s->dev);
	s->report.seconds = clef__seconds() - s->start;
	if (report)
		*report = s->report;
	return status;
}

/* ---- a list ---- */

/* As in a training step: the gradients of all operands that have one. */
static clef_status run_operation(clef__session *s, const clef__problem *p)
{
	clef_tape *tape = clef_tape_new(s->dev);
	clef_status status = tape ? clef_tape_begin(tape) : clef_error_status();
	clef__placed placed[CLEF__OPERANDS];
	clef_tensor *x[CLEF__OPERANDS], *y;

	memset(placed, 0, sizeof(placed));
	for (int i = 0; i < p->operands && !status; i++) {
		status = clef__place_new(s->dev, p, i, &placed[i]);
		x[i] = placed[i].x;
	}
	clef__session_collect(s, true);
	if (!status) {
		y = p->family->apply(x, p->opts);
		status = !y ? clef_error_status() : p->no_gradient ? CLEF_OK : clef_backward(clef_sum(y, NULL));
	}
	clef__session_collect(s, false);
	clef_tape_free(tape);
	for (int i = 0; i < p->operands; i++)
		clef__place_free(&placed[i]);
	return status;
}

static clef_status add_problem(clef__session *s, const char *text)
{
	clef_status status;
	clef__problem *p;

	if (find_chooser(text) >= 0) {
		status = choosers[find_chooser(text)].measurable(s->dev, text);
		if (!status)
			add(s, clef__clblast_named(text));
		return status ? status : s->status;
	}
	p = clef__calloc(1, sizeof(*p), "a problem");
	if (!p)
		return CLEF_ERROR_MEMORY;
	status = clef__problem_parse(text, p);
	if (!status && !p->family->apply)
		status = clef__fail(CLEF_ERROR_INVALID, "\"%s\" has no choice of implementations", text);
	if (!status)
		status = run_operation(s, p);
	free(p);
	return status ? status : s->status;
}

clef_status clef_tune_problems(clef_device *dev, const char *const *problems, int count, const clef_tune_opts *opts,
			       clef_tune_report *report)
{
	clef__session s;
	clef_status status = clef__session_begin(&s, "clef_tune_problems", dev, opts);

	if (status || (!problems && count))
		return status ? status : clef__null_argument("clef_tune_problems");
	for (int i = 0; i < count && !status; i++)
		status = problems[i] ? add_problem(&s, problems[i]) : clef__null_argument("clef_tune_problems");
	if (!status)
		status = clef__session_tune(&s);
	return clef__session_end(&s, status, report);
}

/* ---- what is kept ---- */

int clef_tune_count(const clef_device *dev)
{
	return dev ? clef__tuning_count(dev) : 0;
}

bool clef_tune_get(clef_device *dev, int i, clef_tune_result *result)
{
	static _Thread_local char text[CLEF__CHOICE_TEXT];
	const clef__tuned *t = dev && result ? clef__tuning_get(dev, i) : NULL;

	if (t)
		*result = result_of(t, text);
	return t != NULL;
}

clef_status clef_tune_forget(clef_device *dev, const char *problem, int *count)
{
	int forgotten;

	if (!dev)
		return clef__null_argument("clef_tune_forget");
	return clef__tuning_forget(dev, problem, count ? count : &forgotten);
}

const char *clef_tune_path(const clef_device *dev)
{
	return dev ? clef__tuning_path(dev) : NULL;
}

clef_status clef_tune_use(clef_device *dev, bool use)
{
	if (!dev)
		return clef__null_argument("clef_tune_use");
	clef__tuning_use(dev, use);
	return CLEF_OK;
}
