/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the implementation of a convolution, and its tiles and blocks, by what is kept or by measuring.
 *
 * For a measurement images repeat: a few different ones, of whole numbers, over and over. So the direct implementation,
 * which all others are compared with and which may be a hundred times slower, has to compute these few only: results of
 * the others are the same ones over again, or, where they are sums over all images, made up of as many.
 */
#include <math.h>

#include "conv_internal.h"

#define MAX_CANDIDATES 48
#define MAX_PARAM      (1 << 16)
/* Arithmetic of the direct implementation in a check, about. */
#define DIRECT_FLOPS 1e8
/* Numbers are -TOP to TOP, so that sums of 2^22 products are exact. */
#define TOP 2
/* Errors of sums of many terms grow as their root. */
#define MANY_TERMS 4096.0

/* ---- the convolution that is measured ---- */

typedef struct subject {
	clef_device *dev;
	clef_tape *tape;
	clef__conv g;
	clef__conv_way way;
	int period;        /* images that differ */
	clef_tensor *t[3]; /* x, w, y */
	clef_tensor *to;   /* of them, the one that is computed */
	float *reference;  /* of `period` images; or the weights' gradient */
	float *got;
	double size, slack;    /* of the reference: its mean, without sign; and per unit of tolerance */
	double direct_seconds; /* of the direct implementation, about */
} subject;

static double flops_of_image(const clef__conv *g)
{
	return 2.0 * g->k * g->oh * g->ow * (g->c / g->groups) * g->r * g->s;
}

static int choose_period(const clef__conv *g)
{
	int period = flops_of_image(g) * 5 <= DIRECT_FLOPS ? 5 : flops_of_image(g) * 3 <= DIRECT_FLOPS ? 3 : 2;

	return CLEF__MIN(period, g->n);
}

static float number(size_t i, unsigned which)
{
	uint32_t x = (uint32_t)i * 2654435761u ^ which * 3266489917u;

	x = (x ^ x >> 15) * 2246822519u;
	x ^= x >> 13;
	return (float)((int)(x % (2 * TOP + 1)) - TOP);
}

/* Images that repeat; period 0: nothing does. */
static clef_tensor *new_tensor(clef_device *dev, clef_shape shape, int period, unsigned which)
{
	clef_tensor *x = clef_tensor_new(dev, CLEF_FLOAT32, shape);
	size_t count = x ? (size_t)x->numel : 0, image = x ? count / (size_t)shape.dim[0] : 0;
	float *values = x ? clef__calloc(count, sizeof(float), "a convolution to measure") : NULL;

	for (size_t i = 0; i < count && values; i++)
		values[i] = number(period ? i % (image * (size_t)period) : i, which);
	if (values && !clef_write(x, values, count * sizeof(float))) {
		free(values);
		return x;
	}
	free(values);
	clef_tensor_free(x);
	return NULL;
}

static clef_status compute(const subject *s, const clef__conv_impl *impl, const clef__conv *g)
{
	static const clef__op op = { .name = "tuning" };
	const clef__node n = { .op = &op, .tape = s->tape };
	/* Gives back what scratch tensors the run before took. */
	clef_status status = clef_tape_begin(s->tape);

	if (status)
		return status;
	switch (s->way) {
	case CLEF__CONV_FORWARD:
		return impl->forward(&n, g, s->t[0], s->t[1], NULL, 0, s->t[2]);
	case CLEF__CONV_BACKWARD_DATA:
		return impl->backward_data(&n, g, s->t[2], s->t[1], NULL, 0, s->t[0]);
	default:
		return impl->backward_weights(&n, g, s->t[0], s->t[2], 0, s->t[1]);
	}
}

/* The first images alone, by the direct implementation. */
static clef_status compute_directly(const subject *s, int images)
{
	clef__conv g = s->g;

	g.n = images;
	return compute(s, &clef__conv_direct, &g);
}

static size_t values_to_keep(const subject *s)
{
	size_t all = (size_t)s->to->numel;

	return s->way == CLEF__CONV_BACKWARD_WEIGHTS ? all : all / (size_t)s->g.n * (size_t)s->period;
}

/* The first values of the result. */
static clef_status read_first(const subject *s, float *values, size_t count)
{
	clef_tensor first = *s->to;

	first.numel = (int64_t)count;
	first.shape = CLEF_SHAPE((int64_t)count);
	return clef_read(&first, values, sizeof(float) * count);
}

static clef_status make_reference(subject *s)
{
	size_t count = values_to_keep(s);
	int times = s->g.n / s->period, rest = s->g.n % s->period;
	double start, terms = s->way == CLEF__CONV_BACKWARD_WEIGHTS
				      ? (double)s->g.n * s->g.oh * s->g.ow
				      : flops_of_image(&s->g) / 2 * s->g.n / (double)s->to->numel;
	clef_status status = CLEF_OK;

	/* The first time it may have to be compiled. */
	for (int i = 0; i < 2 && !status; i++) {
		start = clef__seconds();
		status = compute_directly(s, s->period);
		if (!status)
			status = read_first(s, s->reference, count);
		s->direct_seconds = (clef__seconds() - start) * s->g.n / s->period;
	}
	if (!status && s->way == CLEF__CONV_BACKWARD_WEIGHTS) {
		for (size_t i = 0; i < count; i++)
			s->reference[i] *= (float)times;
		if (rest)
			status = compute_directly(s, rest);
		if (!status && rest)
			status = read_first(s, s->got, count);
		for (size_t i = 0; i < count && rest && !status; i++)
			s->reference[i] += s->got[i];
	}
	for (size_t i = 0; i < count; i++)
		s->size += fabs((double)s->reference[i]) / (double)count;
	s->slack = s->size * fmax(1, sqrt(terms / MANY_TERMS));
	return status;
}

/* The device's latest recording may be the user's, who is in the midst of it. */
static clef_status subject_make(clef_device *dev, const clef__conv *g, clef__conv_way way, subject *s)
{
	int which = way == CLEF__CONV_FORWARD ? 2 : way == CLEF__CONV_BACKWARD_DATA ? 0 : 1;

	*s = (subject){ .dev = dev, .g = *g, .way = way, .period = choose_period(g) };
	s->tape = clef_tape_new(dev);
	s->t[0] = s->tape ? new_tensor(dev, CLEF_SHAPE(g->n, g->c, g->h, g->w), s->period, 1) : NULL;
	s->t[1] = s->t[0] ? new_tensor(dev, CLEF_SHAPE(g->k, g->c / g->groups, g->r, g->s), 0, 2) : NULL;
	s->t[2] = s->t[1] ? new_tensor(dev, CLEF_SHAPE(g->n, g->k, g->oh, g->ow), s->period, 3) : NULL;
	if (!s->t[2])
		return clef_error_status();
	s->to = s->t[which];
	s->got = clef__calloc((size_t)s->to->numel, sizeof(float), "a convolution to measure");
	s->reference = clef__calloc(values_to_keep(s), sizeof(float), "a convolution to measure");
	return s->got && s->reference ? make_reference(s) : CLEF_ERROR_MEMORY;
}

static void subject_free(subject *s)
{
	for (int i = 0; i < 3; i++)
		clef_tensor_free(s->t[i]);
	clef_tape_free(s->tape);
	free(s->reference);
	free(s->got);
}

/* ---- candidates ---- */

static const clef__conv_impl *find_impl(const char *name)
{
	for (int i = 0; clef__conv_impl_get(i); i++)
		if (strcmp(clef__conv_impl_get(i)->name, name) == 0)
			return clef__conv_impl_get(i);
	return NULL;
}

static clef__choice choice_of(const clef__conv_impl *impl, const int *set)
{
	clef__choice c = clef__choice_make(impl->name);

	for (int i = 0; impl->params && impl->params[i]; i++)
		if (set[i])
			clef__choice_add(&c, impl->params[i], set[i]);
	return c;
}

/* False for a parameter that the implementation has not, or a value that none has. */
static bool set_params(const clef__conv_impl *impl, const clef__choice *c, clef__conv *g)
{
	int known = 0, given = 0;

	memset(g->param, 0, sizeof(g->param));
	while (given < CLEF__TUNING_PARAMS && c->param[given].name[0])
		given++;
	for (int i = 0; impl->params && impl->params[i]; i++) {
		g->param[i] = clef__choice_get(c, impl->params[i], 0);
		known += g->param[i] > 0 && g->param[i] <= MAX_PARAM;
	}
	return known == given;
}

/* The geometry with the choice's parameters; false where the implementation does not do it. */
static bool can_do(const clef_device *dev, const clef__choice *c, clef__conv_way way, clef__conv *g)
{
	const clef__conv_impl *impl = find_impl(c->name);

	return impl && clef__conv_knows(impl, way) && set_params(impl, c, g) && impl->fits(dev, g, way);
}

static clef_status run(void *user, const clef__choice *c)
{
	const subject *s = user;
	clef__conv g = s->g;

	can_do(s->dev, c, s->way, &g);
	return compute(s, find_impl(c->name), &g);
}

static bool is_right(const subject *s, double tolerance)
{
	size_t count = (size_t)s->to->numel, kept = values_to_keep(s);

	for (size_t i = 0; i < count; i++) {
		double want = (double)s->reference[i % kept], slack = tolerance * fmax(fabs(want), s->slack);

		if (!(fabs((double)s->got[i] - want) <= slack))
			return false;
	}
	return true;
}

static clef_status check(void *user, const clef__choice *c, bool *good)
{
	const subject *s = user;
	/* What a candidate leaves out must not be what the one before it wrote. */
	clef_status status = clef_fill(s->to, (double)NAN);

	if (!status)
		status = run(user, c);
	if (!status)
		status = clef_read(s->to, s->got, sizeof(float) * (size_t)s->to->numel);
	*good = !status && is_right(s, find_impl(c->name)->tolerance);
	return status;
}

static int list_candidates(const subject *s, const clef__conv_impl *shipped, clef__candidate *list)
{
	int count = 1;

	list[0] = (clef__candidate){ .choice = clef__choice_make(shipped->name) };
	for (int i = 0; clef__conv_impl_get(i); i++) {
		const clef__conv_impl *impl = clef__conv_impl_get(i);
		clef__choice own = clef__choice_make(impl->name);
		clef__conv g = s->g;

		if (impl->for_gpus && clef_device_get_info(s->dev)->kind == CLEF_DEVICE_CPU)
			continue;
		if (!can_do(s->dev, &own, s->way, &g))
			continue;
		if (impl != shipped)
			list[count++] = (clef__candidate){ .choice = own };
		for (int j = 0; impl->candidate && impl->candidate(s->dev, j); j++) {
			clef__choice with = choice_of(impl, impl->candidate(s->dev, j));

			if (can_do(s->dev, &with, s->way, &g) && count < MAX_CANDIDATES)
				list[count++] = (clef__candidate){ .choice = with };
		}
	}
	/* It is what the others are compared with. */
	for (int i = 0; i < count; i++)
		if (find_impl(list[i].choice.name) == &clef__conv_direct) {
			list[i].checked = true;
			list[i].seconds = s->direct_seconds;
		}
	return count;
}

static clef_status measure(clef_device *dev, const clef__conv *g, clef__conv_way way, const clef__measure_opts *how,
			   clef__tuned *t, bool *done)
{
	clef__candidate list[MAX_CANDIDATES];
	char problem[CLEF__KEY_TEXT];
	void *begun = clef__device_get_tape(dev);
	clef__trial trial = {
		.dev = dev, .problem = problem, .candidate = list, .run = run, .check = check, .how = how
	};
	clef_status status;
	subject s;

	clef__conv_key(g, way, problem);
	status = subject_make(dev, g, way, &s);
	trial.user = &s;
	if (!status) {
		trial.count = list_candidates(&s, clef__conv_shipped(dev, g, way), list);
		status = clef__trial_run(&trial, t, done);
	}
	subject_free(&s);
	clef__device_set_tape(dev, begun);
	return status;
}

/* ---- use ---- */

static const clef__tuned *measure_in_passing(clef_device *dev, const clef__conv *g, clef__conv_way way, double seconds)
{
	clef__tuned t;
	bool done;
	clef_status status = measure(dev, g, way, &(clef__measure_opts){ .seconds = seconds }, &t, &done);

	return clef__trial_keep(dev, status, &t);
}

clef_status clef__conv_tuned(const clef__node *n, clef__conv_opts *o, clef__conv_way way)
{
	clef_device *dev = n->x[0]->dev;
	double seconds = clef__tuning_first_use(dev);
	char problem[CLEF__KEY_TEXT];
	clef__conv g = o->g;
	const clef__tuned *t;

	if (g.n < 1 || g.c < 1 || g.k < 1)
		return CLEF_OK;
	clef__conv_key(&g, way, problem);
	t = clef__tuning_find(dev, problem);
	if (!t && seconds > 0)
		t = measure_in_passing(dev, &g, way, seconds);
	if (!t)
		return CLEF_OK;
	if (!can_do(dev, &t->choice, way, &g)) {
		clef__tuning_refuse(dev, problem, "cannot be used");
		return CLEF_OK;
	}
	o->impl[way] = find_impl(t->choice.name);
	memcpy(o->param[way], g.param, sizeof(g.param));
	return CLEF_OK;
}

static clef_status read_problem(const char *problem, clef__conv *g, clef__conv_way *way)
{
	const char *forced = getenv("CLEF_CONV");

	if (forced && *forced)
		return clef__fail(CLEF_ERROR_STATE, "CLEF_CONV is set to %s, so there is no choice to tune", forced);
	if (clef__conv_key_parse(problem, g, way))
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID,
			  "\"%s\" is no convolution such as \"conv forward n64 c3 h32 w32 k32 r5 s5 oh28 ow28\"",
			  problem);
}

clef_status clef__conv_measurable(clef_device *dev, const char *problem)
{
	clef__conv_way way;
	clef__conv g;

	(void)dev;
	return read_problem(problem, &g, &way);
}

clef_status clef__conv_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
			       bool *done)
{
	clef__conv_way way;
	clef__conv g;
	clef_status status = read_problem(problem, &g, &way);

	return status ? status : measure(dev, &g, way, how, t, done);
}
