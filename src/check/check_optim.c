/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers: every rule against its formula in double precision, on three parameters of different sizes. Gradients are
 * given: the loss is the sum of w * c over the parameters, so that the gradient of w is c, exactly. With `apart` each
 * parameter takes part in the steps of a rhythm of its own, so that counts of steps differ, and numbers come from a
 * table: other kernels, which are compiled for as long again. All of it happens twice, to the same bits.
 */
#include <math.h>

#include <clef/ops.h>

#include "families.h"
#include "optim_reference.h"

#define PARAMS 3
#define LIMIT  1e-5 /* of the largest value of a parameter */

/* The parameters of each step, as a set of bits. */
#define ALL 7
static const unsigned rhythm[] = { ALL, ALL, ALL, 2, 5, ALL, 1, 6, 3, ALL };

typedef struct optim_opts {
	int rule, steps, rows, columns, n;
	bool apart;
} optim_opts;

typedef struct parameter {
	clef_shape shape;
	clef__optim_ref ref;
	float *c, *got, *first; /* the gradient; the values; those that the first of two passes ended with */
} parameter;

typedef struct run {
	const optim_opts *o;
	const clef__optim_rule_row *rule;
	clef_device *dev;
	clef_check_result *result;
	parameter p[PARAMS];
	clef_tape *tape;
	clef_params *params;
	clef_optim *optim;
} run;

#define FAILED(r, ...)                                                                                                 \
	(snprintf((r)->result->message, sizeof((r)->result->message), __VA_ARGS__),                                    \
	 (r)->result->verdict = CLEF_VERDICT_FAILED)

static const char *const names[] = {
#define NAME(name, optimizer, state) #name,
	CLEF__OPTIM_RULE_MAP(NAME) NULL
};

/* ---- parameters ---- */

static clef_status alloc_parameter(parameter *p, clef_shape shape)
{
	size_t n = (size_t)clef_shape_numel(shape);

	p->shape = shape;
	p->ref.n = (int)n;
	p->ref.rows = shape.ndim == 2 ? (int)shape.dim[0] : 0;
	p->ref.w = clef__calloc(4 * n, sizeof(double), "a reference");
	p->c = clef__calloc(3 * n, sizeof(float), "a reference");
	if (!p->ref.w || !p->c)
		return CLEF_ERROR_MEMORY;
	p->ref.s0 = p->ref.w + n;
	p->ref.s1 = p->ref.w + 2 * n;
	p->ref.s2 = p->ref.w + 3 * n;
	p->ref.g = p->c;
	p->got = p->c + n;
	p->first = p->c + 2 * n;
	return CLEF_OK;
}

/* On the device, and the same in the reference, without state. */
static clef_status start(run *r)
{
	clef_optim_opts opts;
	char name[16];
	clef_status s;

	r->tape = clef_tape_new(r->dev);
	r->params = r->tape ? clef_params_new(r->dev) : NULL;
	for (int i = 0; i < PARAMS && r->params; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		if (!clef_params_add(r->params, name, r->p[i].shape, &(clef_init){ .kind = CLEF_INIT_CONSTANT }))
			return clef_error_status();
	}
	s = r->params ? clef_params_commit(r->params, &(clef_rng){ 0 }) : clef_error_status();
	for (int i = 0; i < PARAMS && !s; i++) {
		parameter *p = &r->p[i];
		size_t n = (size_t)p->ref.n;

		clef_rng_normal(&(clef_rng){ 7, (uint64_t)i }, p->got, n);
		memset(p->ref.w, 0, 4 * n * sizeof(double));
		for (size_t k = 0; k < n; k++)
			p->ref.w[k] = (double)p->got[k];
		p->ref.t = 0;
		s = clef_write(clef_params_get(r->params, i), p->got, n * sizeof(float));
	}
	if (!s)
		s = clef_optim_parse(r->rule->optimizer, &opts);
	r->optim = s ? NULL : clef_optim_new(r->params, &opts);
	return r->optim ? CLEF_OK : clef_error_status();
}

static void finish(run *r)
{
	clef_optim_free(r->optim);
	clef_params_free(r->params);
	clef_tape_free(r->tape);
	r->optim = NULL;
	r->params = NULL;
	r->tape = NULL;
}

/* ---- steps ---- */

/* New gradients for a set of parameters, by a backward pass. */
static clef_status give(run *r, unsigned which, int step)
{
	clef_tensor *loss = NULL;
	clef_status s = clef_tape_begin(r->tape);

	for (int i = 0; i < PARAMS && !s; i++) {
		parameter *p = &r->p[i];
		clef_tensor *term;

		if (!(which >> i & 1))
			continue;
		clef_rng_normal(&(clef_rng){ 11 + (uint64_t)i, (uint64_t)step }, p->c, (size_t)p->ref.n);
		term = clef_sum(clef_mul(clef_params_get(r->params, i),
					 clef_input(r->tape, &(clef_array){ CLEF_FLOAT32, p->shape, p->c })),
				NULL);
		loss = loss ? clef_add(loss, term) : term;
	}
	return s ? s : clef_backward(loss);
}

static clef_status read_values(run *r)
{
	clef_status s = CLEF_OK;

	for (int i = 0; i < PARAMS && !s; i++)
		s = clef_read(clef_params_get(r->params, i), r->p[i].got, (size_t)r->p[i].ref.n * sizeof(float));
	return s;
}

/* Also after a failure the result has the largest error so far. */
static void compare(run *r, int step)
{
	for (int i = 0; i < PARAMS; i++) {
		const parameter *p = &r->p[i];
		double scale = 0, worst = 0;

		for (int k = 0; k < p->ref.n; k++) {
			double error = fabs((double)p->got[k] - p->ref.w[k]);

			scale = fmax(scale, fabs(p->ref.w[k]));
			worst = isfinite(error) ? fmax(worst, error) : (double)INFINITY;
		}
		worst /= scale;
		r->result->value_error = fmax(r->result->value_error, worst);
		if (!(worst <= LIMIT) && !r->result->verdict)
			FAILED(r, "parameter w%d %s is off by %.3g of its largest value after step %d", i,
			       CLEF__SHAPE_TEXT(p->shape), worst, step + 1);
	}
}

static void check_state(run *r)
{
	char name[64];

	if (!r->rule->state)
		return;
	snprintf(name, sizeof(name), "w1.%s", r->rule->state);
	if (clef_optim_state_find(r->optim, name) < 0)
		FAILED(r, "%s", clef_error());
}

/* The first steps are compared, where an error is easy to understand, and the last. */
static clef_status all_steps(run *r)
{
	clef_status s = start(r);

	for (int step = 0; step < r->o->steps && !s; step++) {
		unsigned which = r->o->apart ? rhythm[step % CLEF_COUNT(rhythm)] : ALL;

		s = give(r, which, step);
		if (!s)
			s = clef_optim_step(r->optim);
		for (int i = 0; i < PARAMS; i++)
			if (which >> i & 1) {
				r->p[i].ref.t++;
				r->rule->step(&r->p[i].ref);
			}
		if (s || (step >= 5 && step < r->o->steps - 1))
			continue;
		s = read_values(r);
		if (!s)
			compare(r, step);
	}
	if (!s)
		check_state(r);
	finish(r);
	return s;
}

static clef_status check(run *r)
{
	clef_status s = all_steps(r);

	for (int i = 0; i < PARAMS; i++)
		memcpy(r->p[i].first, r->p[i].got, (size_t)r->p[i].ref.n * sizeof(float));
	if (!s && !r->result->verdict)
		s = all_steps(r);
	for (int i = 0; i < PARAMS && !s && !r->result->verdict; i++)
		if (memcmp(r->p[i].first, r->p[i].got, (size_t)r->p[i].ref.n * sizeof(float)) != 0)
			FAILED(r, "the same steps once more give parameter w%d other bits", i);
	return s;
}

static clef_status run_optim(const clef__problem *p, clef_device *dev, clef_check_result *result)
{
	const optim_opts *o = (const void *)p->opts;
	const clef_shape shapes[PARAMS] = { CLEF_SHAPE(5), CLEF_SHAPE(o->rows, o->columns), CLEF_SHAPE(o->n) };
	run r = { .o = o, .rule = &clef__optim_rules[o->rule], .dev = dev, .result = result };
	clef_status s = CLEF_OK;

	result->value_limit = LIMIT;
	for (int i = 0; i < PARAMS && !s; i++)
		s = alloc_parameter(&r.p[i], shapes[i]);
	if (!s)
		s = check(&r);
	if (s && s != CLEF_ERROR_MEMORY) {
		FAILED(&r, "%s", clef_error());
		if (s == CLEF_ERROR_UNSUPPORTED)
			result->verdict = CLEF_VERDICT_SKIPPED;
	}
	for (int i = 0; i < PARAMS; i++) {
		free(r.p[i].ref.w);
		free(r.p[i].c);
	}
	return s == CLEF_ERROR_MEMORY ? s : CLEF_OK;
}

/* ---- the family ---- */

#define INT_TERM(term, value, high, text)                                                                              \
	{                                                                                                              \
		.name = #term, .kind = CLEF__TERM_INT, .offset = offsetof(optim_opts, term), .preset = value,          \
		.least = 1, .most = high, .about = text                                                                \
	}

static const clef__term terms[] = {
	{ .name = "rule",
	  .kind = CLEF__TERM_WORD,
	  .offset = offsetof(optim_opts, rule),
	  .preset = -1,
	  .words = names,
	  .about = "an optimizer with options" },
	INT_TERM(steps, 6, 1e6, "updates"),
	INT_TERM(rows, 3, 4096, "of the parameter that is a matrix"),
	INT_TERM(columns, 64, 4096, "of that matrix"),
	INT_TERM(n, 33, 1e6, "size of the largest vector; another has 5"),
	{ .name = "apart",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(optim_opts, apart),
	  .about = "parameters take part in different steps" },
	{ NULL },
};

/* Short ones, long ones, and parameters of several work-groups. */
static const char *const problems[] = {
#define QUICK(name, optimizer, state) "optim rule=" #name,
#define LONG(name, optimizer, state)  "optim rule=" #name " steps200 apart",
#define LARGE(name, optimizer, state) "optim rule=" #name " steps10 rows67 columns33 n4099 apart",
	CLEF__OPTIM_RULE_MAP(QUICK) "optim rule=adam steps10 apart",
	CLEF__OPTIM_RULE_MAP(LONG) CLEF__OPTIM_RULE_MAP(LARGE)
};

const clef__family clef__family_optim = {
	.name = "optim", .terms = terms, .run = run_optim, CLEF__PROBLEMS(problems, CLEF__OPTIM_RULES + 1)
};
