/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the work-group size of kernels that leave it to the library: all but products and the fast convolutions. A
 * launch cannot be made up from its sizes, because kernels follow what is in their buffers; so while problems are
 * collected the first launch of each is held, with its buffers, and that one is measured. A size must not change a bit
 * of what the kernel writes, so it is checked against the rules' size by the bytes of all its buffers, which hold what
 * they held before when all is done.
 */
#include "opencl.h"
#include "tuning_file.h"

/* Below this a launch costs more than what it does. */
#define LEAST_BYTES (256 * 1024)
#define MAX_SIZES   12

struct clef__held_launch {
	char problem[CLEF__KEY_TEXT];
	clef__launch_opts opts;
	clef__held_launch *next;
};

/* ---- problems ---- */

static int log2_of(size_t n)
{
	int log = 0;

	while (n >>= 1)
		log++;
	return log;
}

static void problem_text(const clef__launch_opts *opts, char text[CLEF__KEY_TEXT])
{
	snprintf(text, CLEF__KEY_TEXT, "launch %s %s", opts->program, opts->kernel);
	clef__key_add(text, "log", log2_of(opts->global[0]));
}

/* ---- what is held ---- */

static clef__held_launch *find_held(const clef_device *dev, const char *problem)
{
	clef__held_launch *h = dev->tuning->held;

	while (h && strcmp(h->problem, problem) != 0)
		h = h->next;
	return h;
}

static clef_status hold(clef_device *dev, const char *problem, const clef__launch_opts *opts)
{
	clef__held_launch *h = clef__calloc(1, sizeof(*h), "a launch to measure");

	if (!h)
		return CLEF_ERROR_MEMORY;
	h->opts = *opts;
	snprintf(h->problem, sizeof(h->problem), "%s", problem);
	if (opts->defines) {
		h->opts.defines = clef__strdup(opts->defines);
		if (!h->opts.defines) {
			free(h);
			return CLEF_ERROR_MEMORY;
		}
	}
	for (const clef__arg *arg = opts->args; arg->kind != CLEF__ARG_END; arg++)
		if (arg->kind == CLEF__ARG_BUFFER)
			clef__buffer_retain((clef__buffer *)(uintptr_t)arg->buffer);
	h->next = dev->tuning->held;
	dev->tuning->held = h;
	return CLEF_OK;
}

void clef__launches_release(clef_device *dev)
{
	clef__held_launch *h;

	while ((h = dev->tuning->held)) {
		dev->tuning->held = h->next;
		for (const clef__arg *arg = h->opts.args; arg->kind != CLEF__ARG_END; arg++)
			if (arg->kind == CLEF__ARG_BUFFER)
				clef__buffer_release((clef__buffer *)(uintptr_t)arg->buffer);
		free((void *)(uintptr_t)h->opts.defines);
		free(h);
	}
}

/* ---- use ---- */

static bool takes(const clef_device *dev, const clef__kernel *k, int size)
{
	return size > 0 && (size_t)size <= k->work_group_size && (size_t)size <= dev->max_item_size[0] &&
	       (size_t)size <= dev->info.max_work_group;
}

static int look_up(clef_device *dev, const clef__kernel *k, const char *problem)
{
	const clef__tuned *t = clef__tuning_look(dev, problem);
	int size = t ? clef__choice_get(&t->choice, "size", 0) : 0;

	if (!t || (!size && !t->choice.param[0].name[0] && strcmp(t->choice.name, "group") == 0))
		return 0;
	if (strcmp(t->choice.name, "group") == 0 && takes(dev, k, size))
		return size;
	clef__tuning_refuse(dev, problem, "cannot be used");
	return 0;
}

clef_status clef__launch_group(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts, size_t *size)
{
	clef__tuning *t = dev->tuning;
	int log = log2_of(opts->global[0]);
	char problem[CLEF__KEY_TEXT];

	*size = 0;
	if (!t || t->measuring || !clef__tuning_wanted(dev) || log >= CLEF__SIZE_LOGS)
		return CLEF_OK;
	if (t->watch && opts->bytes >= LEAST_BYTES) {
		problem_text(opts, problem);
		if (!find_held(dev, problem) && hold(dev, problem, opts))
			return CLEF_ERROR_MEMORY;
		clef__tuning_find(dev, problem);
	}
	/* Texts cost more than some launches. */
	if (k->group_of != t->changes) {
		memset(k->group, 0xff, sizeof(k->group));
		k->group_of = t->changes;
	}
	if (k->group[log] == UINT16_MAX) {
		problem_text(opts, problem);
		k->group[log] = (uint16_t)look_up(dev, k, problem);
		k->group_of = t->changes;
	}
	*size = t->use ? k->group[log] : 0;
	return CLEF_OK;
}

/* ---- measuring ---- */

typedef struct subject {
	clef_device *dev;
	const clef__held_launch *held;
	unsigned char *before[CLEF__MAX_ARGS], *after[CLEF__MAX_ARGS], *got;
} subject;

static clef_status run(void *user, const clef__choice *c)
{
	const subject *s = user;
	clef__launch_opts opts = s->held->opts;

	opts.local[0] = (size_t)clef__choice_get(c, "size", 0);
	return clef__launch(s->dev, &opts);
}

/* The argument if it is a buffer that no argument in front of it is too. */
static clef__buffer *buffer_of(const subject *s, int i)
{
	const clef__arg *args = s->held->opts.args;

	if (args[i].kind != CLEF__ARG_BUFFER)
		return NULL;
	for (int j = 0; j < i; j++)
		if (args[j].kind == CLEF__ARG_BUFFER && args[j].buffer == args[i].buffer)
			return NULL;
	return (clef__buffer *)(uintptr_t)args[i].buffer;
}

static clef_status restore(const subject *s)
{
	clef_status status = CLEF_OK;

	for (int i = 0; s->held->opts.args[i].kind != CLEF__ARG_END && !status; i++)
		if (buffer_of(s, i) && s->before[i])
			status = clef__buffer_write(buffer_of(s, i), 0, s->before[i], buffer_of(s, i)->bytes);
	return status;
}

/* What the buffers hold, into memory of its own. */
static clef_status copy_buffers(const subject *s, unsigned char *copies[])
{
	clef_status status = CLEF_OK;

	for (int i = 0; s->held->opts.args[i].kind != CLEF__ARG_END && !status; i++) {
		clef__buffer *b = buffer_of(s, i);

		if (!b)
			continue;
		copies[i] = clef__calloc(b->bytes, 1, "a launch to measure");
		status = copies[i] ? clef__buffer_read(b, 0, copies[i], b->bytes) : CLEF_ERROR_MEMORY;
	}
	return status;
}

static clef_status subject_make(clef_device *dev, const clef__held_launch *held, subject *s)
{
	const clef__choice rules = clef__choice_make("group");
	size_t most = 1;
	clef_status status;

	*s = (subject){ .dev = dev, .held = held };
	for (int i = 0; held->opts.args[i].kind != CLEF__ARG_END; i++)
		if (buffer_of(s, i))
			most = CLEF__MAX(most, buffer_of(s, i)->bytes);
	s->got = clef__calloc(most, 1, "a launch to measure");
	status = s->got ? copy_buffers(s, s->before) : CLEF_ERROR_MEMORY;
	if (!status)
		status = run(s, &rules);
	return status ? status : copy_buffers(s, s->after);
}

static void subject_free(subject *s)
{
	for (int i = 0; i < CLEF__MAX_ARGS; i++) {
		free(s->before[i]);
		free(s->after[i]);
	}
	free(s->got);
}

static clef_status check(void *user, const clef__choice *c, bool *good)
{
	const subject *s = user;
	clef_status status = restore(s);

	*good = true;
	if (!status)
		status = run(user, c);
	for (int i = 0; s->held->opts.args[i].kind != CLEF__ARG_END && !status && *good; i++) {
		clef__buffer *b = buffer_of(s, i);

		if (!b)
			continue;
		status = clef__buffer_read(b, 0, s->got, b->bytes);
		*good = memcmp(s->got, s->after[i], b->bytes) == 0;
	}
	*good = *good && !status;
	return status;
}

/* The rules' own choice, and the powers of two around it. */
static int list_candidates(const clef_device *dev, const clef__kernel *k, const clef__launch_opts *opts,
			   clef__candidate list[MAX_SIZES])
{
	int most = opts->long_items ? 64 : 1024, count = 1;

	list[0] = (clef__candidate){ .choice = clef__choice_make("group"), .checked = true };
	for (int size = opts->long_items ? 1 : 16; size <= most; size *= 2)
		if (takes(dev, k, size) && (size_t)size != clef__launch_shipped_group(dev, k, opts)) {
			list[count] = (clef__candidate){ .choice = clef__choice_make("group") };
			clef__choice_add(&list[count++].choice, "size", size);
		}
	return count;
}

static clef_status find_launch(const clef_device *dev, const char *problem, const clef__held_launch **held)
{
	*held = find_held(dev, problem);
	if (*held)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID,
			  "\"%s\": a launch is measured where it occurs: name a model, or the operation", problem);
}

clef_status clef__launch_measurable(clef_device *dev, const char *problem)
{
	const clef__held_launch *held;

	return find_launch(dev, problem, &held);
}

clef_status clef__launch_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				 bool *done)
{
	const clef__held_launch *held;
	clef__candidate list[MAX_SIZES];
	clef__trial trial = {
		.dev = dev, .problem = problem, .candidate = list, .run = run, .check = check, .how = how
	};
	clef__kernel *k;
	subject s;
	clef_status status = find_launch(dev, problem, &held);

	if (status)
		return status;
	k = clef__kernel_find(dev, &held->opts);
	if (!k || clef__kernel_build(dev, k))
		return clef_error_status();
	dev->tuning->measuring = true;
	status = subject_make(dev, held, &s);
	dev->tuning->measuring = false;
	trial.user = &s;
	trial.count = list_candidates(dev, k, &held->opts, list);
	if (!status)
		status = clef__trial_run(&trial, t, done);
	if (!status)
		status = restore(&s);
	subject_free(&s);
	return status;
}
