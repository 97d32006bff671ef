/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring the ways of an operation against each other: forward and backward together, as a training step has them, of
 * sum(r y) with numbers r that do not cancel anything. The ways add up in different orders, so values and gradients are
 * compared within rounding.
 */
#include <math.h>

#include <clef/ops.h>

#include "variant.h"

#define MAX_WAYS  4
#define TOLERANCE 1e-4 /* of the largest value */

static const clef__variants *const families[] = { &clef__pool_variants, &clef__batch_norm_variants };

static int find_way(const clef__variants *v, const char *name)
{
	for (int i = 0; v->names[i]; i++)
		if (strcmp(v->names[i], name) == 0)
			return i;
	return -1;
}

static void write_problem(const clef__variants *v, const void *problem, char text[CLEF__KEY_TEXT])
{
	strcpy(text, v->begins);
	clef__key_write(text, v->fields, problem);
}

int clef__variant_choose(const clef__node *n, const clef__variants *v, const void *problem)
{
	clef_device *dev = n->x[0]->dev;
	int shipped = v->shipped(dev, problem), way;
	char text[CLEF__KEY_TEXT];
	const clef__tuned *t;

	if (!clef__tuning_wanted(dev) || clef__tape_is_dry(n->tape) || !v->consistent(problem))
		return shipped;
	write_problem(v, problem, text);
	t = clef__tuning_find(dev, text);
	if (!t)
		return shipped;
	way = find_way(v, t->choice.name);
	if (way >= 0 && !t->choice.param[0].name[0] && v->fits(dev, way))
		return way;
	clef__tuning_refuse(dev, text, "cannot be used");
	return shipped;
}

/* ---- the operation that is measured ---- */

typedef struct subject {
	clef_device *dev;
	clef_tape *tape;
	const clef__variants *v;
	const void *problem;
	int operands;
	clef_tensor *x[CLEF__VARIANT_OPERANDS], *r;
	clef_tensor *result[CLEF__VARIANT_OPERANDS + 1]; /* of the latest run: y, and the gradients */
	float *want[CLEF__VARIANT_OPERANDS + 1], *got;
} subject;

static clef_tensor *new_operand(clef_device *dev, clef_shape shape, uint64_t stream)
{
	clef_tensor *x = clef_tensor_new(dev, CLEF_FLOAT32, shape);
	size_t count = x ? (size_t)x->numel : 0;
	float *values = x ? clef__calloc(count + 1, sizeof(*values), "an operation to measure") : NULL;
	uint32_t state = (uint32_t)stream;

	for (size_t i = 0; values && i < count; i++) {
		state = state * 1664525u + 1013904223u;
		values[i] = (float)(state >> 8) * 0x1p-23f - 1;
	}
	if (values && !clef_write(x, values, count * sizeof(*values))) {
		free(values);
		return x;
	}
	free(values);
	clef_tensor_free(x);
	return NULL;
}

static clef_status compute(subject *s, int way)
{
	clef_status status = clef_tape_begin(s->tape);
	clef_tensor *y = status ? NULL : s->v->apply(s->x, s->problem, way);

	if (y && !s->r)
		s->r = new_operand(s->dev, clef_tensor_shape(y), 99);
	if (!s->r)
		return clef_error_status();
	status = clef_backward(clef_sum(clef_mul(y, s->r), NULL));
	s->result[0] = y;
	for (int i = 0; i < s->operands && !status; i++)
		s->result[i + 1] = clef_grad(s->x[i]);
	return status;
}

static clef_status run(void *user, const clef__choice *c)
{
	subject *s = user;

	return compute(s, find_way(s->v, c->name));
}

static bool is_near(const float *want, const float *got, size_t count)
{
	double most = 0, worst = 0;

	for (size_t i = 0; i < count; i++) {
		most = fmax(most, fabs((double)want[i]));
		worst = fmax(worst, isfinite(got[i]) ? fabs((double)got[i] - (double)want[i]) : (double)INFINITY);
	}
	return worst <= TOLERANCE * most;
}

static clef_status check(void *user, const clef__choice *c, bool *good)
{
	subject *s = user;
	clef_status status = run(s, c);

	*good = true;
	for (int i = 0; i <= s->operands && !status && *good; i++) {
		size_t count = (size_t)s->result[i]->numel;

		status = clef_read(s->result[i], s->got, count * sizeof(float));
		*good = !status && is_near(s->want[i], s->got, count);
	}
	return status;
}

static clef_status make_reference(subject *s, int way)
{
	clef_status status = compute(s, way);
	size_t most = 0;

	for (int i = 0; i <= s->operands && !status; i++) {
		size_t count = (size_t)s->result[i]->numel;

		most = CLEF__MAX(most, count);
		s->want[i] = clef__calloc(count, sizeof(float), "an operation to measure");
		status = s->want[i] ? clef_read(s->result[i], s->want[i], count * sizeof(float)) : CLEF_ERROR_MEMORY;
	}
	if (status)
		return status;
	s->got = clef__calloc(most, sizeof(float), "an operation to measure");
	return s->got ? CLEF_OK : CLEF_ERROR_MEMORY;
}

/* The device's latest recording may be the user's. */
static clef_status subject_make(clef_device *dev, const clef__variants *v, const void *problem, subject *s)
{
	clef_shape shape[CLEF__VARIANT_OPERANDS];
	int last = 0;

	*s = (subject){ .dev = dev, .v = v, .problem = problem, .tape = clef_tape_new(dev) };
	if (!s->tape)
		return clef_error_status();
	s->operands = v->operands(problem, shape);
	for (int i = 0; i < s->operands; i++) {
		s->x[i] = new_operand(dev, shape[i], (uint64_t)i + 1);
		if (!s->x[i] || clef_requires_grad(s->x[i], true))
			return clef_error_status();
	}
	while (v->names[last + 1])
		last++;
	return make_reference(s, last);
}

static void subject_free(subject *s)
{
	clef_tape_free(s->tape);
	clef_tensor_free(s->r);
	for (int i = 0; i < s->operands; i++)
		clef_tensor_free(s->x[i]);
	for (int i = 0; i <= CLEF__VARIANT_OPERANDS; i++)
		free(s->want[i]);
	free(s->got);
}

/* ---- measuring ---- */

static const clef__variants *parse(const char *text, void **problem)
{
	for (int i = 0; i < CLEF_COUNT(families); i++) {
		size_t letters = strlen(families[i]->begins);

		if (strncmp(text, families[i]->begins, letters) != 0 || text[letters] != ' ')
			continue;
		*problem = clef__calloc(1, families[i]->size, "a problem");
		if (!*problem)
			return NULL;
		if (clef__key_read(text + letters, families[i]->fields, *problem) && families[i]->consistent(*problem))
			return families[i];
		free(*problem);
	}
	return clef__fail_null(CLEF_ERROR_INVALID, "\"%s\" is no problem such as \"normalize n64 c32 i1024\"", text);
}

clef_status clef__variant_measurable(clef_device *dev, const char *problem)
{
	void *parsed;

	(void)dev;
	if (!parse(problem, &parsed))
		return clef_error_status();
	free(parsed);
	return CLEF_OK;
}

static int list_candidates(const subject *s, clef__candidate list[MAX_WAYS])
{
	int shipped = s->v->shipped(s->dev, s->problem), count = 1;

	for (int i = 0; s->v->names[i]; i++)
		if (s->v->fits(s->dev, i) && count < MAX_WAYS)
			list[i == shipped ? 0 : count++] =
				(clef__candidate){ .choice = clef__choice_make(s->v->names[i]),
						   .checked = !s->v->names[i + 1] };
	return count;
}

clef_status clef__variant_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				  bool *done)
{
	clef__candidate list[MAX_WAYS];
	clef__trial trial = {
		.dev = dev, .problem = problem, .candidate = list, .run = run, .check = check, .how = how
	};
	void *parsed, *begun = clef__device_get_tape(dev);
	const clef__variants *v = parse(problem, &parsed);
	clef_status status;
	subject s;

	if (!v)
		return clef_error_status();
	status = subject_make(dev, v, parsed, &s);
	trial.user = &s;
	if (!status) {
		trial.count = list_candidates(&s, list);
		status = clef__trial_run(&trial, t, done);
	}
	subject_free(&s);
	free(parsed);
	clef__device_set_tape(dev, begun);
	return status;
}
